// The app in process on a fresh database, with a clock that stands still until a test moves it and
// randomness that repeats. Every test file mints its own.

import type { OpenAPIHono } from '@hono/zod-openapi';
import { createApp } from '../../api/app.ts';
import type { LaunchTarget } from '../../api/contract/targets.ts';
import type { Role } from '../../api/contract/tokens.ts';
import type { Deps } from '../../api/deps.ts';
import type { Env } from '../../api/http/context.ts';
import type { Launcher } from '../../api/launchers/launcher.ts';
import { bootstrapAdmin } from '../../api/services/access.ts';
import type { Database } from '../../api/store/database.ts';
import { openTestDatabase } from './database.ts';

export type Sending = {
  /** Sends a request as the actor; a plain object body is sent as JSON. */
  send: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Response>;
  /** The same, answering status and parsed body. */
  call: <Body = any>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; body: Body }>;
};

/** `send` and `call` of TestApp are the admin's. */
export type TestApp = Sending & {
  app: OpenAPIHono<Env>;
  deps: Deps;
  database: Database;
  token: string;
  logged: { level: string; message: string; fields?: Record<string, unknown> }[];
  /** Makes a token of a role for an actor, through the API. */
  as: (actor: string, role: Role) => Promise<Sending & { token: string; tokenId: string }>;
  /** Makes a workspace, through the API too; the same app as its first admin. */
  inWorkspace: (name: string, actor?: string) => Promise<TestApp & { workspaceId: string }>;
  moveClock: (milliseconds: number) => void;
};

export const adminToken = 'cw_test_admin_token_of_this_suite';

function countedBytes(process: number): (count: number) => Uint8Array {
  let next = 1;
  return (count) => {
    const bytes = new Uint8Array(count);
    bytes[0] = process;
    new DataView(bytes.buffer).setUint32(count - 4, next++);
    return bytes;
  };
}

export async function openTestApp(
  options: {
    database?: Database;
    targets?: LaunchTarget[];
    launcher?: Launcher;
    /** Tells apart the random bytes of several apps on one database. */
    process?: number;
  } = {},
): Promise<TestApp> {
  const database = options.database ?? (await openTestDatabase());
  let now = Date.parse('2026-03-01T09:00:00Z');
  const logged: TestApp['logged'] = [];
  const deps: Deps = {
    process: {},
    database,
    now: () => new Date(now),
    randomBytes: countedBytes(options.process ?? 0),
    targets: options.targets ?? [],
    launcherOf: async () => {
      if (options.launcher === undefined) throw new Error('this test app has no launcher');
      return options.launcher;
    },
    publicUrl: 'http://127.0.0.1:8787',
    version: '0.0.0-test',
    log: (level, message, fields) => logged.push({ level, message, fields }),
  };
  await bootstrapAdmin(deps, adminToken);
  const app = createApp(deps);
  const moveClock = (milliseconds: number) => {
    now += milliseconds;
  };
  return asAdmin({ app, deps, database, logged, moveClock }, adminToken);
}

type Shared = Pick<TestApp, 'app' | 'deps' | 'database' | 'logged' | 'moveClock'>;

function asAdmin(shared: Shared, token: string): TestApp {
  const admin = sendingOf(shared.app, token);
  const made = async (path: string, body: object) => {
    const answer = await admin.call('POST', path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    ...admin,
    ...shared,
    token,
    as: async (actor, role) => {
      const { id, secret } = await made('/v1/tokens', { name: 'test', actor, role });
      return { ...sendingOf(shared.app, secret), token: secret, tokenId: id };
    },
    inWorkspace: async (name, actor) => {
      const workspace = await made('/v1/workspaces', { name, actor });
      return { ...asAdmin(shared, workspace.token.secret), workspaceId: workspace.id };
    },
  };
}

/** Requests with a token, or without one. */
export function sendingOf(app: OpenAPIHono<Env>, token: string | null): Sending {
  const send: Sending['send'] = async (method, path, body, headers = {}) => {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    return await app.request(path, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : raw ? (body as string) : JSON.stringify(body),
    });
  };
  return {
    send,
    call: async (method, path, body, headers) => {
      const response = await send(method, path, body, headers);
      const text = await response.text();
      return { status: response.status, body: text === '' ? null : JSON.parse(text) };
    },
  };
}
