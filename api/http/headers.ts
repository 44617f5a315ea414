// Headers that every answer has: what a browser may do with it, who may keep it, and who may read
// it from another site. By default nobody.

import { cors } from 'hono/cors';
import { createMiddleware } from 'hono/factory';
import { NONCE, secureHeaders } from 'hono/secure-headers';
import type { Deps } from '../deps.ts';
import type { Env } from './context.ts';

const nothing = {
  defaultSrc: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};
const always = { xFrameOptions: 'DENY', strictTransportSecurity: false, overwrite: false };
const ofApi = secureHeaders({ ...always, contentSecurityPolicy: nothing });
const ofPages = secureHeaders({
  ...always,
  contentSecurityPolicy: { ...nothing, styleSrc: [NONCE], imgSrc: ["'self'"] },
});

const pages = new Set(['/docs']);

/** Two years, as browsers ask of whoever wants it for good. */
const onlyHttps = 'max-age=63072000';

/** Nothing is framed, sniffed, referred to or kept, unless the route says so of its answer. */
export function secured(deps: Pick<Deps, 'publicUrl'>) {
  return createMiddleware<Env>(async (c, next) => {
    const secure = pages.has(c.req.path) ? ofPages : ofApi;
    const answer = await secure(c, next);
    const { headers } = c.res;
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
    if (deps.publicUrl.startsWith('https:')) headers.set('strict-transport-security', onlyHttps);
    return answer;
  });
}

/** Lets pages of these origins read; changing anything from another site is not for browsers. */
export function readableFrom(origins: string[]) {
  return cors({
    origin: origins,
    allowMethods: ['GET'],
    allowHeaders: ['authorization', 'accept', 'if-none-match', 'last-event-id'],
    exposeHeaders: ['etag', 'retry-after', 'x-request-id', 'counterweight-ledger-digest'],
    maxAge: 600,
  });
}

/** Reads CW_CORS_ORIGINS: exact origins with commas; throws an Error that names what is none. */
export function readOrigins(text: string | undefined): string[] {
  const origins = (text ?? '').split(',').map((origin) => origin.trim());
  return origins
    .filter((origin) => origin !== '')
    .map((origin) => {
      if (URL.canParse(origin) && new URL(origin).origin === origin) return origin;
      throw new Error(
        `CW_CORS_ORIGINS is a list of exact origins, as https://lab.example, not "${origin}"`,
      );
    });
}
