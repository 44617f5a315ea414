// Answers kept under an Idempotency-Key for seven days. Whoever serves a request holds a claim on
// its key, and every change that the request makes is stored with that claim or not at all.

import { and, eq, lt, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type Orm, rows } from './database.ts';
import { idempotencyKeys } from './schema.ts';

type KeyRow = typeof idempotencyKeys.$inferSelect;

/** Who serves the request of a key now: `claim` is another one each time it is served. */
export type KeyClaim = { workspaceId: string; key: string; claim: string };

const keptForMs = 7 * 24 * 3600 * 1000;
/** A claim throws out so many old keys of its workspace; more are made by more claims. */
const sweptAtOnce = 20;

const named = ({ workspaceId, key }: Omit<KeyClaim, 'claim'>) =>
  and(eq(idempotencyKeys.workspaceId, workspaceId), eq(idempotencyKeys.key, key));

const claimedBy = (claim: KeyClaim) => and(named(claim), eq(idempotencyKeys.claim, claim.claim));

/**
 * Claims a key for a request: one that is new, or one of the same request whose claim has run out
 * without an answer. Answers the row as it stands then, undefined where it has just gone; it is
 * claimed where its `claim` is the one given.
 */
export async function claimIdempotencyKey(
  orm: Orm,
  row: KeyClaim & { requestDigest: string; now: Date; claimedUntil: Date },
): Promise<KeyRow | undefined> {
  const { now, ...rest } = row;
  await sweep(orm, row);
  const { claim, claimedUntil } = row;
  const [claimed] = await orm
    .insert(idempotencyKeys)
    .values({ ...rest, createdAt: now, entries: [] })
    .onConflictDoUpdate({
      target: [idempotencyKeys.workspaceId, idempotencyKeys.key],
      set: { claim, claimedUntil },
      setWhere: and(
        sql`${idempotencyKeys.status} is null`,
        lt(idempotencyKeys.claimedUntil, now),
        eq(idempotencyKeys.requestDigest, row.requestDigest),
      ),
    })
    .returning();
  if (claimed !== undefined) return claimed;
  const [known] = await orm.select().from(idempotencyKeys).where(named(row));
  return known;
}

async function sweep(
  orm: Orm,
  { workspaceId, key, now }: { workspaceId: string; key: string; now: Date },
): Promise<void> {
  const expired = new Date(now.getTime() - keptForMs).toISOString();
  const old = sql`workspace_id = ${workspaceId} and created_at < ${expired}::timestamptz`;
  await orm.execute(sql`delete from idempotency_keys where ${old} and (key = ${key} or key in (
    select key from idempotency_keys where ${old} order by created_at limit ${sweptAtOnce}))`);
}

/** Renews a claim; false where it was lost. */
export async function moveClaimUntil(
  orm: Orm,
  { claimedUntil, ...claim }: KeyClaim & { claimedUntil: Date },
): Promise<boolean> {
  const renewed = orm.update(idempotencyKeys).set({ claimedUntil }).where(claimedBy(claim));
  return (await renewed.returning()).length > 0;
}

/**
 * Notes an audit entry under the claim of its request, in the same transaction. Throws `conflict`
 * where somebody else serves the request by now: then the change must not be.
 */
export async function noteEntry(
  tx: Orm,
  { claim, sequence }: { claim: KeyClaim; sequence: number },
): Promise<void> {
  const noted = await rows(
    tx,
    sql`update idempotency_keys set entries = array_append(entries, ${sequence}::bigint)
      where workspace_id = ${claim.workspaceId} and key = ${claim.key} and claim = ${claim.claim}
        and status is null
      returning 1`,
  );
  if (noted.length > 0) return;
  throw new ProblemError('conflict', 'A repeat of this request is served instead.');
}

/** Keeps the answer of a claimed request. */
export async function moveKeyToAnswered(
  orm: Orm,
  { answer, status, ...claim }: KeyClaim & { status: number; answer: string },
): Promise<void> {
  await orm.update(idempotencyKeys).set({ status, answer }).where(claimedBy(claim));
}

/**
 * Gives a claim back. A key whose request changed nothing is forgotten, so that it may be tried
 * again; otherwise the next repeat is answered from what was stored. False where it was lost.
 */
export async function releaseClaim(
  orm: Orm,
  { now, ...claim }: KeyClaim & { now: Date },
): Promise<boolean> {
  const untouched = and(claimedBy(claim), sql`entries = '{}'`);
  const forgotten = await orm.delete(idempotencyKeys).where(untouched).returning();
  if (forgotten.length > 0) return true;
  return await moveClaimUntil(orm, { ...claim, claimedUntil: new Date(now.getTime() - 1) });
}
