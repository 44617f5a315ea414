// Withdrawn cases of a dataset. A withdrawal is never taken back and touches no snapshot: it is
// read when the next one is frozen.

import { and, asc, eq, gt, lte, sql } from 'drizzle-orm';
import type { JobState } from '../contract/jobs.ts';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { insertEvents } from './job-events.ts';
import { withdrawals } from './schema-teams.ts';

export type WithdrawalRow = typeof withdrawals.$inferSelect;

/** A job that has not ended. */
export type RunningJob = { id: string; state: JobState };

/**
 * Held while a case is withdrawn (alone) and while a job is launched (shared), so that a job either
 * hears of the withdrawal or is refused because of it. Taken before any lock of events or audit.
 */
async function lockWithdrawals(tx: Orm, datasetId: string, mode: 'alone' | 'shared') {
  const lock = sql.raw(`pg_advisory_xact_lock${mode === 'shared' ? '_shared' : ''}`);
  await tx.execute(sql`select ${lock}(hashtextextended(${`withdrawals/${datasetId}`}, 0))`);
}

/**
 * Stores a withdrawal and tells the jobs that still draw the case, by an event `caseWithdrawn`
 * each. Answers those jobs; null where the case is withdrawn already.
 */
export async function insertWithdrawal(
  orm: Orm,
  row: WithdrawalRow,
  audit: AuditEntry,
): Promise<RunningJob[] | null> {
  return await orm.transaction(async (tx) => {
    await lockWithdrawals(tx, row.datasetId, 'alone');
    const added = await tx.insert(withdrawals).values(row).onConflictDoNothing().returning();
    if (added.length === 0) return null;
    const running = await listRunningWith(tx, row);
    await insertEvents(tx, {
      jobIds: running.map(({ id }) => id),
      at: row.createdAt,
      kind: 'caseWithdrawn',
      detail: { caseId: row.caseId, reason: row.reason },
    });
    await appendAudit(tx, audit);
    return running;
  });
}

async function listRunningWith(
  tx: Orm,
  { datasetId, caseId }: { datasetId: string; caseId: string },
): Promise<RunningJob[]> {
  return await rows(
    tx,
    sql`select j.id, j.state from jobs j
      where j.dataset_id = ${datasetId} and j.ended_at is null and j.snapshot_id in (
        select k.snapshot_id from snapshot_chunks k
        where k.snapshot_id in (select o.snapshot_id from jobs o
          where o.dataset_id = ${datasetId} and o.ended_at is null)
        and (select c.ordinal from cases c
          where c.dataset_id = ${datasetId} and c.case_id = ${caseId} limit 1) = any (k.ordinals))
      order by j.id`,
  );
}

/** Jobs that were told of a withdrawal, and how they are now. */
export async function listToldOfWithdrawal(
  orm: Orm,
  { datasetId, caseId }: { datasetId: string; caseId: string },
): Promise<RunningJob[]> {
  return await rows(
    orm,
    sql`select j.id, j.state from jobs j where j.dataset_id = ${datasetId} and exists (
      select 1 from job_events e where e.job_id = j.id and e.kind = 'caseWithdrawn'
        and e.detail ->> 'caseId' = ${caseId})
      order by j.id`,
  );
}

export async function findWithdrawal(
  orm: Orm,
  { datasetId, caseId }: { datasetId: string; caseId: string },
): Promise<WithdrawalRow | undefined> {
  const [row] = await orm
    .select()
    .from(withdrawals)
    .where(and(eq(withdrawals.datasetId, datasetId), eq(withdrawals.caseId, caseId)));
  return row;
}

/** Withdrawals of a dataset in case order. */
export async function listWithdrawals(
  orm: Orm,
  { datasetId, after, limit }: { datasetId: string; after?: string; limit: number },
): Promise<WithdrawalRow[]> {
  return await orm
    .select()
    .from(withdrawals)
    .where(and(eq(withdrawals.datasetId, datasetId), gt(withdrawals.caseId, after ?? '')))
    .orderBy(asc(withdrawals.caseId))
    .limit(limit);
}

/** Ids of the cases of a dataset that were withdrawn until a time. */
export async function findWithdrawnUntil(
  orm: Orm,
  { datasetId, at }: { datasetId: string; at: Date },
): Promise<Set<string>> {
  const found = await orm
    .select({ id: withdrawals.caseId })
    .from(withdrawals)
    .where(and(eq(withdrawals.datasetId, datasetId), lte(withdrawals.createdAt, at)));
  return new Set(found.map(({ id }) => id));
}

/**
 * The withdrawn cases on the training side of a fold, in id order: the only ones that change its
 * snapshot.
 */
export async function listWithdrawnOfFold(
  orm: Orm,
  key: { datasetId: string; version: number; split: string; fold: number | 'all' },
): Promise<{ id: string; reason: string }[]> {
  const gone = sql`select w.case_id as id, w.reason, c.ordinal from withdrawals w
    join cases c on c.dataset_id = w.dataset_id and c.case_id = w.case_id
      and c.valid_from <= ${key.version} and (c.valid_to is null or c.valid_to > ${key.version})
    where w.dataset_id = ${key.datasetId}`;
  if (key.fold === 'all')
    return await rows(orm, sql`select id, reason from (${gone}) g order by id`);
  return await rows(
    orm,
    sql`with gone as materialized (${gone}), held as materialized (
      select ordinal from gone intersect
      select o.ordinal from splits s cross join lateral unnest(s.train) o (ordinal)
      where s.dataset_id = ${key.datasetId} and s.number = ${key.version} and s.name = ${key.split}
        and s.fold = ${key.fold} and exists (select 1 from gone)
    )
    select gone.id, gone.reason from gone join held on held.ordinal = gone.ordinal
    order by gone.id`,
  );
}

/**
 * Ids of the withdrawn cases that stand in a snapshot, in id order. `intersect`, here and above, is
 * never a nested loop: for a million cases up to a minute became half a second.
 */
export async function listWithdrawnOfSnapshot(
  orm: Orm,
  { datasetId, snapshotId }: { datasetId: string; snapshotId: string },
): Promise<string[]> {
  const found = await rows<{ id: string }>(
    orm,
    sql`with gone as materialized (
      select distinct w.case_id as id, c.ordinal from withdrawals w
      join cases c on c.dataset_id = w.dataset_id and c.case_id = w.case_id
      where w.dataset_id = ${datasetId}
    ), held as materialized (
      select ordinal from gone intersect
      select o.ordinal from snapshot_chunks k cross join lateral unnest(k.ordinals) o (ordinal)
      where k.snapshot_id = ${snapshotId} and exists (select 1 from gone)
    )
    select gone.id from gone join held on held.ordinal = gone.ordinal order by gone.id`,
  );
  return found.map(({ id }) => id);
}

/** Withdrawn cases that somebody launches a snapshot with all the same. */
export type AcceptedWithdrawn = { datasetId: string; snapshotId: string; ids: string[] };

/**
 * Called first in the transaction that launches a snapshot: throws `conflict` where a case of it
 * was withdrawn after `accepted` was read. Until the end of the transaction no other one is.
 */
export async function refuseWithdrawnSince(tx: Orm, accepted: AcceptedWithdrawn): Promise<void> {
  await lockWithdrawals(tx, accepted.datasetId, 'shared');
  const now = await listWithdrawnOfSnapshot(tx, accepted);
  if (now.length === accepted.ids.length) return;
  throw new ProblemError(
    'conflict',
    'A case of this snapshot was withdrawn while the job was launched; nothing was stored. Launch again.',
  );
}
