// Long answers, zipped for whoever takes gzip. A piece at a time: nothing is buffered whole.

import { createMiddleware } from 'hono/factory';
import type { Env } from './context.ts';

/** Whether a client takes gzip, by its Accept-Encoding; `gzip;q=0` and silence say no. */
export function takesGzip(header: string | undefined): boolean {
  return (header ?? '').split(',').some((one) => {
    const [name, ...parameters] = one.split(';').map((part) => part.trim().toLowerCase());
    return name === 'gzip' && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
  });
}

/** Zips what GET answers on the paths that it is used on. */
export function zipped() {
  return createMiddleware<Env>(async (c, next) => {
    await next();
    if (c.req.method !== 'GET' || c.res.status !== 200) return;
    const { body, status, headers } = c.res;
    c.header('vary', 'accept-encoding', { append: true });
    if (body === null || !takesGzip(c.req.header('accept-encoding'))) return;
    const stream = body.pipeThrough(new CompressionStream('gzip') as never);
    const all = new Headers(headers);
    all.set('content-encoding', 'gzip');
    // workerd would zip once more by itself what is named so.
    const init = { status, headers: all, encodeBody: 'manual' };
    c.res = undefined;
    c.res = new Response(stream as ReadableStream<Uint8Array>, init);
  });
}
