// How large a request may be. Every route has the first limit, but for those that take files, which
// are read as streams and state their own.

import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { createMiddleware } from 'hono/factory';
import { uploadLimits } from '../contract/cases.ts';
import { summaryLimits } from '../contract/scores.ts';
import { splitLimits } from '../contract/splits.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import { routeOf } from './route-name.ts';

export const requestLimits = {
  /** Of a JSON document, in bytes. */
  bodyBytes: 1024 * 1024,
  /** How deep the lists and objects of a JSON document may stand in each other. */
  depth: 64,
  /** Of the address, in characters. */
  addressLength: 8 * 1024,
  /** Of one request that is no stream, in seconds. */
  seconds: 120,
};

const version = '/v1/datasets/{dataset}/versions/{n}';

/** Bodies that their route reads as a stream, and their limits in bytes as they arrive. */
export const streamedBodies: Record<string, number> = {
  [`POST ${version}/cases`]: uploadLimits.partBytes,
  [`PUT ${version}/splits/{split}`]: splitLimits.bodyBytes,
  [`PUT ${version}/scores/{attribute}`]: summaryLimits.bytes,
};

/** True where the route reads its body piece by piece, with limits of its own. */
export const isStreamedBody = (c: Context) => (routeOf(c) ?? '') in streamedBodies;

/** Refuses an address that is too long, before anything looks at it. */
export const shortAddress = createMiddleware<Env>(async (c, next) => {
  if (c.req.url.length > requestLimits.addressLength) {
    throw new ProblemError(
      'too-large',
      `The address has over ${requestLimits.addressLength} characters; send long lists in pages.`,
    );
  }
  await next();
});

const tooLarge = (limit: number) => (): never => {
  throw new ProblemError(
    'too-large',
    `The body is over ${limit} bytes, which is the limit of this route.`,
  );
};
const ofAny = bodyLimit({
  maxSize: requestLimits.bodyBytes,
  onError: tooLarge(requestLimits.bodyBytes),
});

/** Refuses a body over the limit of its route: by what it announces, or as soon as that many came. */
export const boundedBody = createMiddleware<Env>(async (c, next) => {
  const limit = streamedBodies[routeOf(c) ?? ''];
  if (limit === undefined) return await ofAny(c, next);
  if (Number(c.req.header('content-length') ?? 0) > limit) tooLarge(limit)();
  await next(); // what is not announced is counted as it is read
});

/** Throws `unprocessable` for JSON whose brackets stand deeper in each other than any of ours. */
export function refuseDeep(text: string, where = 'The body'): void {
  if (!isDeeper(text, requestLimits.depth)) return;
  const detail = `lists and objects stand more than ${requestLimits.depth} deep in each other`;
  throw new ProblemError('unprocessable', `${where} is not valid: ${detail}.`, {
    errors: [{ pointer: '', detail }],
  });
}

/** Whether brackets outside of strings stand deeper than that. Of what is no JSON, a guess. */
export function isDeeper(text: string, limit: number): boolean {
  let depth = 0;
  for (let k = 0; k < text.length; k++) {
    const code = text.charCodeAt(k);
    if (code === 0x22) k = stringEnd(text, k);
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > limit) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

function stringEnd(text: string, open: number): number {
  for (let k = open + 1; k < text.length; k++) {
    const code = text.charCodeAt(k);
    if (code === 0x5c) k++;
    else if (code === 0x22) return k;
  }
  return text.length;
}
