// The one mapper from errors to problem details (RFC 9457). An unknown error answers a fixed text
// and the request id; its cause goes to the log, because driver errors carry SQL and bound values.

import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { Log } from '../deps.ts';
import { type InputFault, ProblemError, type ProblemKind, problemKinds } from '../errors.ts';
import type { Env } from './context.ts';
import { databaseFault } from './database-faults.ts';

function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof HTTPException && error.status === 400) {
    return new ProblemError(
      'invalid-request',
      'The body is not valid JSON. Send one JSON document with Content-Type: application/json.',
    );
  }
  if (error instanceof HTTPException && error.status === 415) {
    return new ProblemError(
      'unsupported-media-type',
      'Send one JSON document with Content-Type: application/json.',
    );
  }
  if (isAborted(error)) {
    return new ProblemError('invalid-request', 'The body ended before it was complete.');
  }
  const fault = databaseFault(error);
  if (fault !== undefined) return fault;
  return new ProblemError(
    'internal',
    'Something failed that should not have. Nothing was stored half; try again, and report the requestId if it repeats.',
    { cause: error },
  );
}

// How Node says that the other side closed the connection while its body was read.
const isAborted = (error: unknown) =>
  error instanceof Error && error.message === 'aborted' && 'code' in error;

/** Answers an error as `application/problem+json`. */
export function problemAnswer(c: Context<Env>, error: unknown, log: Log): Response {
  const problem = asProblem(error);
  const { status, title } = problemKinds[problem.kind];
  const requestId = c.get('requestId') ?? '';
  const traceId = c.get('traceId') ?? '';
  if (status >= 500) {
    log('error', problem.detail, { requestId, traceId, path: c.req.path, cause: problem.cause });
  }
  const body = {
    type: `/docs#problem-${problem.kind}`,
    title,
    status,
    detail: problem.detail,
    instance: c.req.path,
    requestId,
    traceId,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (problem.kind === 'unauthenticated') headers['www-authenticate'] = 'Bearer';
  if (problem.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(problem.retryAfterSeconds);
  }
  return c.body(JSON.stringify(body), status, headers);
}

const broken = (status: number, kind: ProblemKind, detail: string): string => {
  const { title } = problemKinds[kind];
  const type = `/docs#problem-${kind}`;
  return JSON.stringify({ type, title, status, detail, instance: '', requestId: '' });
};
const malformed = broken(400, 'invalid-request', 'This is not a well-formed HTTP request.');

/** What a parser of HTTP refused, as a whole answer: nothing of it has reached the app. */
export function brokenRequest(code: string | undefined): string {
  const [line, body] =
    code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', broken(431, 'too-large', 'Headers over 16 KiB.')]
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', broken(408, 'invalid-request', 'The request came too slowly.')]
        : ['400 Bad Request', malformed];
  const headers = `content-type: application/problem+json\r\ncontent-length: ${body.length}`;
  return `HTTP/1.1 ${line}\r\nconnection: close\r\n${headers}\r\n\r\n${body}`;
}

/** The same for an address or a host that is none, which is found a step later. */
export function brokenResponse(): Response {
  const headers = { 'content-type': 'application/problem+json' };
  return new Response(malformed, { status: 400, headers });
}

/** A zod issue list as input faults with JSON pointers. */
export function faultsOf(
  issues: readonly { path: PropertyKey[]; message: string }[],
): InputFault[] {
  return issues.map((issue) => ({
    pointer: issue.path.map((part) => `/${escaped(String(part))}`).join(''),
    detail: issue.message,
  }));
}

function escaped(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
