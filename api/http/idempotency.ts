// Idempotency-Key on POST: the first answer is kept for seven days and given again. While a request
// is served, a repeat waits; where its server died, the repeat is served as the first one was left:
// anew if nothing was stored, and from what was stored otherwise.

import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { sha256Text } from '../ids.ts';
import type { Env } from './context.ts';
import { isStreamedBody } from './limits.ts';
import { isJsonDocument } from './negotiation.ts';

type Claim = NonNullable<Deps['claim']>;
export type KeptAnswer = { status: number; body: string };

export type AnswerKeeper<Entry> = {
  renewedEveryMs: number;
  /** Claims the key, or says what is known of it. */
  claim: (request: {
    workspaceId: string;
    key: string;
    requestDigest: string;
  }) => Promise<
    | { is: 'claimed'; claim: Claim }
    | { is: 'done'; claim: Claim; entries: Entry[] }
    | { is: 'answered'; answer: KeptAnswer }
    | { is: 'running'; retryAfterSeconds: number }
    | { is: 'other' }
  >;
  renew: (claim: Claim) => Promise<boolean>;
  keep: (kept: { claim: Claim; answer: KeptAnswer }) => Promise<void>;
  /** Gives the claim back; false where somebody else has it. */
  release: (claim: Claim) => Promise<boolean>;
};

/** The answer of a request that was done, or `again` where serving it again does no harm. */
export type Recover<Entry> = (
  c: Context<Env>,
  entries: Entry[],
) => Promise<{ status: number; body: unknown } | 'again' | 'secret'>;

const refusals = {
  running: 'A request with this Idempotency-Key is still being served; ask again in a moment.',
  lost: 'This took so long that a repeat of it is served instead, and nothing of it was stored; ask again under the same Idempotency-Key.',
  secret:
    'The request with this Idempotency-Key was done; its answer held a secret, which is not kept. Where it was lost, revoke what was made and send it again with a new key.',
  other: 'This Idempotency-Key was used for another request; choose a new key.',
};

/** What is kept of an answer that nobody may store: only that there was one. No kept one fails. */
const secretKept: KeptAnswer = { status: 409, body: '' };

/** Answers a repeated POST with the first answer. Streams of cases use Upload-Part instead. */
export function idempotent<Entry>(keeper: AnswerKeeper<Entry>, recover: Recover<Entry>) {
  return createMiddleware<Env>(async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined || c.req.method !== 'POST' || isStream(c)) return await next();
    if (key === '' || key.length > 255) {
      throw new ProblemError('invalid-request', 'Idempotency-Key has 1 to 255 characters.');
    }
    const workspaceId = c.get('actor').workspaceId;
    const requestDigest = await sha256Text(`${c.req.path}\n${await c.req.text()}`);
    const known = await keeper.claim({ workspaceId, key, requestDigest });
    if (known.is === 'other') throw new ProblemError('conflict', refusals.other);
    if (known.is === 'running') {
      const { retryAfterSeconds } = known;
      throw new ProblemError('conflict', refusals.running, { retryAfterSeconds });
    }
    if (known.is === 'answered') return repeated(c, known.answer);
    const done = known.is === 'done' ? await recover(c, known.entries) : 'again';
    if (done === 'again') return await served(c, next, { keeper, claim: known.claim });
    const answer =
      done === 'secret' ? secretKept : { status: done.status, body: JSON.stringify(done.body) };
    await keeper.keep({ claim: known.claim, answer });
    return repeated(c, answer);
  });
}

function isStream(c: Context<Env>): boolean {
  const contentType = c.req.header('content-type');
  return isStreamedBody(c) || (contentType !== undefined && !isJsonDocument(contentType));
}

function repeated(c: Context<Env>, { status, body }: KeptAnswer): Response {
  if (status === secretKept.status) throw new ProblemError('conflict', refusals.secret);
  const headers = { 'content-type': 'application/json', 'idempotency-replayed': 'true' };
  return c.body(body, status as 200, headers);
}

async function served<Entry>(
  c: Context<Env>,
  next: () => Promise<void>,
  { keeper, claim }: { keeper: AnswerKeeper<Entry>; claim: Claim },
): Promise<void> {
  c.set('deps', { ...c.get('deps'), claim });
  // A claim that could not be renewed is lost to a repeat at worst, which then makes the change.
  const renew = () => void keeper.renew(claim).catch(() => undefined);
  const renewing = setInterval(renew, keeper.renewedEveryMs);
  try {
    await next();
  } finally {
    clearInterval(renewing);
  }
  if (!c.res.ok) {
    if (await keeper.release(claim)) return;
    throw new ProblemError('conflict', refusals.lost, { retryAfterSeconds: 1 });
  }
  const secret = c.res.headers.get('cache-control') === 'no-store';
  const answer = secret ? secretKept : { status: c.res.status, body: await c.res.clone().text() };
  await keeper.keep({ claim, answer });
}
