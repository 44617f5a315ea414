// How large a request may be. Every route has the first limit, but for those that take files, which
// are read as streams and state their own.

import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { createMiddleware } from 'hono/factory';
import { timeout } from 'hono/timeout';
import { uploadLimits } from '../contract/cases.ts';
import { summaryLimits } from '../contract/scores.ts';
import { splitLimits } from '../contract/splits.ts';
import { reportLimits } from '../contract/trainer.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import type { Budgets } from './rate-limits.ts';
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

/** Refuses a body over its route's limit: by what it announces, or as soon as that many came. */
export const boundedBody = createMiddleware<Env>(async (c, next) => {
  const limit = streamedBodies[routeOf(c) ?? ''];
  if (limit === undefined) return await ofAny(c, next);
  if (Number(c.req.header('content-length') ?? 0) > limit) tooLarge(limit)();
  await next(); // what is not announced is counted as it is read
});

/** Answers `unavailable` for a request that takes too long; streams take as long as they come. */
export const timely = createMiddleware<Env>(async (c, next) => {
  if (isStreamedBody(c)) return await next();
  const late = () =>
    new ProblemError(
      'unavailable',
      `This took over ${requestLimits.seconds} s and may still be done; look before you repeat it, or repeat it under its Idempotency-Key.`,
      { retryAfterSeconds: 10 },
    );
  await timeout(requestLimits.seconds * 1000, late as never)(c, next);
});

const mebibytes = (bytes: number) => `${bytes / 1024 / 1024} MiB`;

/** The limits in sentences, for the reference. */
export function limitsText(budgets: Budgets | undefined): string {
  const { bodyBytes, depth, addressLength, seconds } = requestLimits;
  const sizes = `Limits: a JSON body ${mebibytes(bodyBytes)} and ${depth} levels deep, a report ${reportLimits.bytes / 1e6} MB, a part of cases ${mebibytes(uploadLimits.partBytes)} unzipped with lines of ${mebibytes(uploadLimits.lineBytes)}, a split ${mebibytes(splitLimits.bodyBytes)}, scores ${mebibytes(summaryLimits.bytes)}, an address ${addressLength} characters (413, 422); a request that is no stream ${seconds} s (503).`;
  if (budgets === undefined) return sizes;
  const { token, trainer, address } = budgets;
  const rate = ({ perSecond, burst }: { perSecond: number; burst: number }) =>
    `${perSecond} requests a second and ${burst} at once`;
  return `${sizes} A token may make ${rate(token)}, the token of a job's attempt ${rate(trainer)}, an address without a known token ${rate(address)} (429; see the headers RateLimit, RateLimit-Policy and Retry-After).`;
}

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
