// Idempotency-Key on POST: the first answer is kept for seven days and given again. The same key
// with another body is a conflict; while the first request still runs, so is a second one.

import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ProblemError } from '../errors.ts';
import { sha256Text } from '../ids.ts';
import type { Env } from './context.ts';
import { isJsonDocument } from './negotiation.ts';

export type KeptAnswer = { status: number; body: string };

export type AnswerKeeper = {
  /** Claims the key, or says what is known of it. */
  claim: (request: {
    workspaceId: string;
    key: string;
    requestDigest: string;
  }) => Promise<'claimed' | 'running' | 'unanswered' | 'other-body' | KeptAnswer>;
  keep: (request: { workspaceId: string; key: string; answer: KeptAnswer }) => Promise<void>;
  release: (request: { workspaceId: string; key: string }) => Promise<void>;
};

const refusals = {
  running: 'A request with this Idempotency-Key is still being served; ask again in a moment.',
  unanswered:
    'The request with this Idempotency-Key was cut off before its answer. Look whether it was done; if not, send it with a new key.',
  secret:
    'The request with this Idempotency-Key was done; its answer held a secret, which is not kept. Where it was lost, revoke what was made and send it again with a new key.',
  'other-body': 'This Idempotency-Key was used for another request; choose a new key.',
};

/** What is kept of an answer that nobody may store: only that there was one. No kept one fails. */
const secretKept: KeptAnswer = { status: 409, body: '' };

/** Answers a repeated POST with the first answer. Streams of cases use Upload-Part instead. */
export function idempotent(keeper: AnswerKeeper) {
  return createMiddleware<Env>(async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined || c.req.method !== 'POST' || isStream(c)) return await next();
    if (key.length > 255) {
      throw new ProblemError('invalid-request', 'Idempotency-Key is over 255 characters.');
    }
    const workspaceId = c.get('actor').workspaceId;
    const requestDigest = await sha256Text(`${c.req.path}\n${await c.req.text()}`);
    const known = await keeper.claim({ workspaceId, key, requestDigest });
    if (known === 'running') {
      throw new ProblemError('conflict', refusals.running, { retryAfterSeconds: 1 });
    }
    if (known === 'other-body' || known === 'unanswered') {
      throw new ProblemError('conflict', refusals[known]);
    }
    if (known !== 'claimed' && known.status === secretKept.status) {
      throw new ProblemError('conflict', refusals.secret);
    }
    if (known !== 'claimed') {
      const repeated = { 'content-type': 'application/json', 'idempotency-replayed': 'true' };
      return c.body(known.body, known.status as 200, repeated);
    }
    await next();
    await keepOrRelease(keeper, { workspaceId, key }, c.res);
  });
}

function isStream(c: Context): boolean {
  const contentType = c.req.header('content-type');
  return contentType !== undefined && !isJsonDocument(contentType);
}

async function keepOrRelease(
  keeper: AnswerKeeper,
  request: { workspaceId: string; key: string },
  response: Response,
): Promise<void> {
  if (response.ok) {
    const secret = response.headers.get('cache-control') === 'no-store';
    const answer = secret
      ? secretKept
      : { status: response.status, body: await response.clone().text() };
    await keeper.keep({ ...request, answer });
  } else {
    await keeper.release(request);
  }
}
