// Sending one request until there is an answer worth keeping. What may be repeated is: after a
// pause drawn at random below a bound that doubles, or as long as the service asks.

export type SendOptions = {
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** Ends the request and every pause. */
  signal?: AbortSignal;
};

/** Answers any status; fails where no answer can be had, as a `SendFailure`. */
export type Send = (method: string, path: string, options?: SendOptions) => Promise<Response>;

/** Nothing came back: no service, too slow, or the caller gave up. */
export type SendFailure = Error & { sending: 'unreachable' | 'cancelled' };

/** A token that can be had anew: from then on it is the one in use. */
export type RenewableToken = {
  current: () => Promise<string>;
  /** Called when the service refuses it with 401; null where there is no other. */
  renewed: (refused: string) => Promise<string | null>;
};

export type SenderOptions = {
  /** The address of the service, with no slash at its end. */
  api: string;
  token: string | RenewableToken | undefined;
  fetch: typeof fetch;
  /** Waits so long, or until the signal. */
  sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  random: () => number;
  /** Milliseconds of any clock. */
  now: () => number;
  /** How long it goes on: so many tries, or as long as another try begins within a time. */
  patience: { tries: number } | { forMs: number };
  /** A try takes no longer: to its first byte, or where `whole` is set to its last. */
  timeoutMs: number;
  /** Answers are read inside the try, so that a connection lost half-way is tried again. */
  whole?: boolean;
  /** Longest pause that the service can ask for. */
  longestAskedMs?: number;
  /** Whether another try may be answered better. */
  mayPass?: (answer: Response, method: string) => boolean;
  /** Whether a request may reach the service twice. */
  mayRepeat?: (method: string, headers: Record<string, string>) => boolean;
  onRetry?: (path: string, trouble: string, waitMs: number) => void;
};

const firstPauseMs = 800;
const longestPauseMs = 30_000;
const passing = new Set([408, 429, 502, 503, 504]);
const longestAskedMs = 60_000;

/** The service answers a repeated part or key with what it answered first. */
export function repeatable(method: string, headers: Record<string, string>): boolean {
  return (
    ['GET', 'PUT'].includes(method) || 'idempotency-key' in headers || 'upload-part' in headers
  );
}

/** A function that sends to one service, with one token. */
export function senderOf(options: SenderOptions): Send {
  const { mayRepeat = repeatable, now, sleep } = options;
  return async (method, path, given = {}) => {
    const startedAt = now();
    const mayTryAgain = mayRepeat(method, given.headers ?? {});
    let renewed = false;
    for (let tries = 1; ; tries += 1) {
      const token = await tokenOf(options);
      const outcome = await attempt(options, { method, path, token, ...given });
      if (outcome instanceof Response && outcome.status === 401 && !renewed) {
        renewed = true;
        if (await hasOther(options, token)) continue;
      }
      const waitMs = pauseMs(options, outcome, tries);
      const again =
        mayTryAgain &&
        helpsToRepeat(options, method, outcome) &&
        ('tries' in options.patience
          ? tries < options.patience.tries
          : now() - startedAt + waitMs <= options.patience.forMs);
      if (!again) {
        if (outcome instanceof Response) return outcome;
        throw outcome;
      }
      const trouble = outcome instanceof Response ? `status ${outcome.status}` : outcome.message;
      options.onRetry?.(path, trouble, waitMs);
      await sleep(waitMs, given.signal);
    }
  };
}

const tokenOf = async ({ token }: SenderOptions) =>
  typeof token === 'object' ? await token.current() : token;

async function hasOther({ token }: SenderOptions, refused: string | undefined): Promise<boolean> {
  if (typeof token !== 'object' || refused === undefined) return false;
  return (await token.renewed(refused)) !== null;
}

type Attempt = SendOptions & { method: string; path: string; token: string | undefined };

async function attempt(
  { api, fetch, timeoutMs, whole }: SenderOptions,
  { method, path, token, body, headers, signal }: Attempt,
): Promise<Response | SendFailure> {
  if (signal?.aborted) return sendFailure('cancelled', 'the request was given up');
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), timeoutMs);
  try {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
      body: body as BodyInit | undefined,
      signal: signal === undefined ? slow.signal : AbortSignal.any([slow.signal, signal]),
    });
    return whole ? await wholeOf(answer) : answer;
  } catch (cause) {
    if (signal?.aborted) return sendFailure('cancelled', 'the request was given up', cause);
    if (slow.signal.aborted) {
      return sendFailure('unreachable', `no answer within ${timeoutMs / 1000} s`, cause);
    }
    const code = (cause as { cause?: { code?: string } }).cause?.code;
    return sendFailure('unreachable', code ?? (cause as Error).message, cause);
  } finally {
    clearTimeout(timer);
  }
}

async function wholeOf(answer: Response): Promise<Response> {
  const bytes = await answer.arrayBuffer();
  const { status, statusText, headers } = answer;
  return new Response(bytes.byteLength === 0 ? null : bytes, { status, statusText, headers });
}

export function sendFailure(
  sending: SendFailure['sending'],
  message: string,
  cause?: unknown,
): SendFailure {
  return Object.assign(new Error(message, { cause }), { sending });
}

function helpsToRepeat(
  { mayPass = passes }: SenderOptions,
  method: string,
  outcome: Response | SendFailure,
): boolean {
  if (outcome instanceof Response) return mayPass(outcome, method);
  return outcome.sending !== 'cancelled';
}

// A limit that leaves room in an hour, or never, is an answer to whoever wants to create something;
// a key whose first request still runs (409 with a time to wait) has its answer in a moment.
function passes(answer: Response, method: string): boolean {
  const asked = askedMs(answer);
  if (answer.status === 409) return asked !== undefined;
  if (answer.status !== 429 || method === 'GET') return passing.has(answer.status);
  return asked !== undefined && asked <= longestAskedMs;
}

function pauseMs(
  { random, longestAskedMs: longest = longestAskedMs }: SenderOptions,
  outcome: Response | SendFailure,
  tries: number,
): number {
  const drawn = random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1));
  const asked = outcome instanceof Response ? (askedMs(outcome) ?? 0) : 0;
  return Math.max(drawn, Math.min(asked, longest));
}

/** `Retry-After` as milliseconds: seconds, or a date on the clock of whoever answered. */
function askedMs({ headers }: Response): number | undefined {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const wait = Date.parse(text) - Date.parse(headers.get('date') ?? '');
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
