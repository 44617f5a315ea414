// W3C Trace Context: a request goes on in the trace that its caller names, or begins one. Nothing
// else of the header is used, and what is not just as the standard writes it begins a new trace.

import { createMiddleware } from 'hono/factory';
import type { Env } from './context.ts';

/** Version 00 is written so, and a later one may add fields behind a further dash. */
const traceparent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]{1,400})?$/;
const zeros = /^0+$/;

/** The trace id of a `traceparent` header; undefined where it has none that is valid. */
export function traceIdOf(header: string | undefined): string | undefined {
  const [, version, traceId, spanId, more] = traceparent.exec(header ?? '') ?? [];
  if (traceId === undefined || version === 'ff') return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return zeros.test(traceId) || zeros.test(spanId) ? undefined : traceId;
}

/** Puts the trace id of the request on the context. */
export function traced() {
  return createMiddleware<Env>(async (c, next) => {
    const named = traceIdOf(c.req.header('traceparent'));
    c.set('traceId', named ?? crypto.randomUUID().replaceAll('-', ''));
    await next();
  });
}
