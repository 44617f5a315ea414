// The service over HTTP, as the command line uses it: what may be sent twice is retried, problem
// documents become messages that name field, line and what to do.

import { randomUUID } from 'node:crypto';

export type Client = {
  api: string;
  call: <Answer>(method: string, path: string, body?: unknown) => Promise<Answer>;
  /** A POST that creates, with a key of its own: sent again, it does not create a second one. */
  create: <Answer>(path: string, body: unknown) => Promise<Answer>;
  /** Every item of a list, page by page. */
  all: <Item>(path: string) => Promise<Item[]>;
  /** The raw response of a request that succeeded. */
  send: (method: string, path: string, options?: SendOptions) => Promise<Response>;
};

type Page<Item> = { items: Item[]; nextCursor: string | null };

export type SendOptions = { body?: string | Uint8Array; headers?: Record<string, string> };

/** A failure with the exit code that it means. */
export type Failure = Error & { exitCode: number; problem?: Problem };

export type Problem = {
  status: number;
  title: string;
  detail: string;
  requestId?: string;
  errors?: {
    pointer?: string;
    line?: number;
    caseId?: string;
    detail: string;
    range?: { from: number; to: number };
  }[];
};

export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, gateNotMet: 4, timedOut: 5 };

export function failure(message: string, exitCode = exitCodes.failed, problem?: Problem): Failure {
  return Object.assign(new Error(message), { exitCode, problem });
}

/** A problem document as people read it. */
export function problemText({ detail, errors = [], requestId, status }: Problem): string {
  const lines = errors.slice(0, 20).map(({ pointer, line, caseId, detail: what, range }) => {
    const at = [
      line === undefined ? undefined : `line ${line}`,
      caseId === undefined ? undefined : `case ${caseId}`,
      pointer || undefined,
    ].filter((part) => part !== undefined);
    const where = range === undefined ? '' : ` (characters ${range.from} to ${range.to})`;
    return `  ${at.join(', ') || 'body'}${where}: ${what}`;
  });
  if (errors.length > 20) lines.push(`  ... and ${errors.length - 20} more`);
  const id = status >= 500 && requestId ? ` (request ${requestId})` : '';
  return [`${detail}${id}`, ...lines].join('\n');
}

export type ClientOptions = {
  api: string;
  token: string | undefined;
  fetch: typeof fetch;
  sleep: (milliseconds: number) => Promise<void>;
};

const retriedStatuses = new Set([429, 502, 503, 504]);
const mostTries = 5;
const longestWaitSeconds = 60;

/** A client of the service at an address; a usage failure where the address is none. */
export function createClient({ api, token, fetch, sleep }: ClientOptions): Client {
  const base = baseOf(api);
  const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};

  async function attempt(
    method: string,
    path: string,
    { body, headers }: SendOptions,
  ): Promise<Response> {
    const init = {
      method,
      headers: { ...authorization, ...headers },
      body: body as BodyInit | undefined,
    };
    for (let tries = 1; ; tries++) {
      const last = !mayRepeat(method, headers) || tries === mostTries;
      try {
        const response = await fetch(`${base}${path}`, init);
        if (last || !helpsToRepeat(method, response)) return response;
        await sleep(waitMs(response, tries));
      } catch (cause) {
        if (last) throw unreachable(base, cause);
        await sleep(waitMs(null, tries));
      }
    }
  }

  const send: Client['send'] = async (method, path, options = {}) => {
    const response = await attempt(method, path, options);
    if (!response.ok) throw await refused(response);
    return response;
  };
  const call: Client['call'] = async <Answer>(method: string, path: string, body?: unknown) =>
    (await parsed(await send(method, path, jsonOf(body)))) as Answer;
  return {
    api: base,
    send,
    call,
    all: async <Item>(path: string) => {
      const items: Item[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = cursor === '' ? 'limit=500' : `limit=500&cursor=${cursor}`;
        const page = await call<Page<Item>>(
          'GET',
          `${path}${path.includes('?') ? '&' : '?'}${query}`,
        );
        items.push(...page.items);
        cursor = page.nextCursor;
      }
      return items;
    },
    create: async <Answer>(path: string, body: unknown) => {
      const { headers, ...rest } = jsonOf(body);
      const keyed = { ...headers, 'idempotency-key': randomUUID() };
      return (await parsed(await send('POST', path, { ...rest, headers: keyed }))) as Answer;
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

function jsonOf(body: unknown): SendOptions {
  if (body === undefined) return {};
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

async function parsed(response: Response): Promise<unknown> {
  const text = await response.text();
  return text === '' ? null : JSON.parse(text);
}

// The service answers a repeated part or key with what it answered first.
function mayRepeat(method: string, headers: Record<string, string> = {}): boolean {
  return (
    ['GET', 'PUT'].includes(method) || 'idempotency-key' in headers || 'upload-part' in headers
  );
}

// A limit that leaves room in an hour, or never, is an answer to whoever wants to create something.
function helpsToRepeat(method: string, { status, headers }: Response): boolean {
  if (!retriedStatuses.has(status)) return false;
  const soon = Number(headers.get('retry-after') ?? Infinity) <= longestWaitSeconds;
  return status !== 429 || method === 'GET' || soon;
}

function waitMs(response: Response | null, tries: number): number {
  const asked = Number(response?.headers.get('retry-after'));
  return asked > 0 ? Math.min(asked, longestWaitSeconds) * 1000 : 200 * 2 ** tries;
}

function unreachable(base: string, cause: unknown): Failure {
  const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).message;
  return failure(
    `no service answers at ${base} (${why}). Start one with "npm start", or name another with --api.`,
  );
}

async function refused(response: Response): Promise<Failure> {
  const text = await response.text();
  let problem: Problem;
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    problem = {
      status: response.status,
      title: response.statusText,
      detail: text.slice(0, 300) || response.statusText,
    };
  }
  const hint = response.status === 401 ? '\n  --token or CW_TOKEN gives the token' : '';
  return failure(
    `${problemText(problem)}${hint}`,
    response.status >= 500 ? exitCodes.failed : exitCodes.refused,
    problem,
  );
}
