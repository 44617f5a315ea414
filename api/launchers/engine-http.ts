// One way to speak HTTP to an engine: with a limit in time, and so that no secret comes out again
// in what is said of an answer.

import { ProblemError } from '../errors.ts';

export type EngineRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, from the engine's address on. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
};

export type EngineAnswer = {
  status: number;
  text: string;
  /** The body as JSON; undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: what an engine answers is read field by field
  json: any;
  /** By lower-case name; empty where the carrier keeps none. */
  headers: Record<string, string>;
};

export type EngineClient = (request: EngineRequest) => Promise<EngineAnswer>;

/** Longer than slurmrestd takes (18 s) to say that its controller is down. */
export const engineTimeoutMs = 30_000;
const shownCharacters = 600;

/** What carries a request: `fetch`, or a socket of this machine. */
export type Carrier = (
  request: EngineRequest & { signal: AbortSignal },
) => Promise<{ status: number; text: string; headers?: Record<string, string> }>;

/**
 * A client of the engine of a target. Throws ProblemError `unavailable` where no answer came: the
 * request may have arrived.
 */
export function engineClient(targetName: string, carry: Carrier): EngineClient {
  return async (request) => {
    try {
      const signal = AbortSignal.timeout(engineTimeoutMs);
      const { status, text, headers = {} } = await carry({ ...request, signal });
      return { status, text, json: parsed(text), headers };
    } catch (cause) {
      const detail = `Target "${targetName}": its engine gave no answer (${whyOf(cause)}).`;
      throw new ProblemError('unavailable', detail, { cause: withoutText(cause) });
    }
  };
}

/** Requests to an address by `fetch`. */
export function fetchCarrier(
  address: string,
  headersOf: () => Promise<Record<string, string>>,
): Carrier {
  const base = address.replace(/\/+$/, '');
  return async ({ method, path, headers, body, signal }) => {
    const all = { ...(await headersOf()), ...headers };
    // Not followed: a redirect would take the credential elsewhere.
    const init = { method, headers: all, body, signal, redirect: 'manual' as const };
    const response = await fetch(`${base}${path}`, init);
    const answered = Object.fromEntries(response.headers);
    return { status: response.status, text: await response.text(), headers: answered };
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Node's fetch says only "fetch failed" and keeps the reason in the cause.
function whyOf(cause: unknown): string {
  if (cause instanceof ProblemError) return cause.detail;
  if (!(cause instanceof Error)) return 'unknown';
  if (cause.name === 'TimeoutError') return `none within ${engineTimeoutMs / 1000} s`;
  const { code } = (cause.cause ?? cause) as { code?: unknown };
  return typeof code === 'string' ? code : cause.name;
}

// The message of an error of fetch may repeat a header, and so a credential: it would be logged.
function withoutText(cause: unknown): unknown {
  if (cause instanceof ProblemError) return cause;
  if (!(cause instanceof Error)) return undefined;
  const bare = new Error(whyOf(cause));
  bare.name = cause.name;
  return bare;
}

/** What an engine said, short enough to be shown and stored, without a secret that it repeats. */
export function shown(text: string, secret: string | null = null): string {
  const kept = secret === null ? text : text.replaceAll(secret, '***');
  const plain = kept.replaceAll(/\s+/g, ' ').trim();
  return plain.length > shownCharacters ? `${plain.slice(0, shownCharacters)}...` : plain;
}
