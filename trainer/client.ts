// The service over HTTP, as the command line uses it: the contract's typed client, what may be sent
// twice is retried, and every failure has the exit code that it means.

import { randomUUID } from 'node:crypto';
import { jsonOf, type TypedClient, typedClient } from '../api/contract/client.ts';
import { type Problem, problemOf, problemText } from '../api/contract/problems.ts';
import { type SendFailure, type SendOptions, senderOf } from '../api/contract/sending.ts';

export type Client = TypedClient & {
  api: string;
  /** A new key: a POST with it, sent again, does not create a second one. */
  newKey: () => string;
  /** For paths that are put together at run time; `ask` is typed. */
  call: <Answer>(method: string, path: string, body?: unknown) => Promise<Answer>;
  /** The same as a POST with a key of its own. */
  create: <Answer>(path: string, body: unknown) => Promise<Answer>;
  /** The raw response of a request that succeeded. */
  send: (method: string, path: string, options?: SendOptions) => Promise<Response>;
};

/** A failure with the exit code that it means. */
export type Failure = Error & { exitCode: number; problem?: Problem };

export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, gateNotMet: 4, timedOut: 5 };

export function failure(message: string, exitCode = exitCodes.failed, problem?: Problem): Failure {
  return Object.assign(new Error(message), { exitCode, problem });
}

export type ClientOptions = {
  api: string;
  token: string | undefined;
  fetch: typeof fetch;
  sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  now?: () => number;
  random?: () => number;
};

const mostTries = 5;
const tryMs = 300_000; // a million cases are frozen before the first byte

/** A client of the service at an address; a usage failure where the address is none. */
export function createClient(options: ClientOptions): Client {
  const { now = Date.now, random = Math.random } = options;
  const api = baseOf(options.api);
  const patience = { tries: mostTries };
  const sender = senderOf({ ...options, api, now, random, patience, timeoutMs: tryMs });
  const send: Client['send'] = async (method, path, given) => {
    const response = await sender(method, path, given).catch((error: SendFailure) => {
      throw unreachable(api, error);
    });
    if (!response.ok) throw await refused(response);
    return response;
  };
  const call: Client['call'] = async <Answer>(method: string, path: string, body?: unknown) =>
    (await jsonOf(await send(method, path, bodyOf(body)))) as Answer;
  return {
    ...typedClient(send),
    api,
    newKey: randomUUID,
    send,
    call,
    create: async <Answer>(path: string, body: unknown) => {
      const { headers, ...rest } = bodyOf(body);
      const keyed = { ...headers, 'idempotency-key': randomUUID() };
      return (await jsonOf(await send('POST', path, { ...rest, headers: keyed }))) as Answer;
    },
  };
}

function baseOf(api: string): string {
  if (/^https?:\/\//.test(api) && URL.canParse(api)) return api.replace(/\/+$/, '');
  throw failure(
    `"${api}" is no address of a service; give one as http://127.0.0.1:8787 with --api or CW_API`,
    exitCodes.usage,
  );
}

function bodyOf(body: unknown): SendOptions {
  if (body === undefined) return {};
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function unreachable(api: string, { message }: SendFailure): Failure {
  return failure(
    `no service answers at ${api} (${message}). Start one with "npm start", or name another with --api.`,
  );
}

async function refused(response: Response): Promise<Failure> {
  const problem = await problemOf(response);
  const hint = response.status === 401 ? '\n  --token or CW_TOKEN gives the token' : '';
  return failure(
    `${problemText(problem)}${hint}`,
    response.status >= 500 ? exitCodes.failed : exitCodes.refused,
    problem,
  );
}
