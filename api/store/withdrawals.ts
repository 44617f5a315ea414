// Withdrawn cases of a dataset. A withdrawal is never taken back and touches no snapshot: it is
// read when the next one is frozen.

import { and, asc, eq, gt, sql } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { withdrawals } from './schema-teams.ts';

export type WithdrawalRow = typeof withdrawals.$inferSelect;

/** Stores a withdrawal; false where the case is withdrawn already. */
export async function insertWithdrawal(
  orm: Orm,
  row: WithdrawalRow,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const added = await tx.insert(withdrawals).values(row).onConflictDoNothing().returning();
    if (added.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
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

/**
 * The withdrawn cases on the training side of a fold, in id order: the only ones that change its
 * snapshot.
 */
export async function listWithdrawnOfFold(
  orm: Orm,
  key: { datasetId: string; version: number; split: string; fold: number | 'all' },
): Promise<{ id: string; reason: string }[]> {
  const side =
    key.fold === 'all'
      ? sql``
      : sql`and c.ordinal in (select unnest(s.train) from splits s where s.dataset_id = ${key.datasetId}
          and s.number = ${key.version} and s.name = ${key.split} and s.fold = ${key.fold})`;
  return await rows(
    orm,
    sql`select w.case_id as id, w.reason from withdrawals w
      join cases c on c.dataset_id = w.dataset_id and c.case_id = w.case_id
        and c.valid_from <= ${key.version} and (c.valid_to is null or c.valid_to > ${key.version})
      where w.dataset_id = ${key.datasetId} ${side} order by w.case_id`,
  );
}

/** Withdrawn cases of a dataset that stand in a snapshot, in id order; at most `limit`. */
export async function listWithdrawnOfSnapshot(
  orm: Orm,
  { datasetId, snapshotId, limit }: { datasetId: string; snapshotId: string; limit: number },
): Promise<string[]> {
  const found = await rows<{ id: string }>(
    orm,
    sql`select distinct w.case_id as id from withdrawals w
      join cases c on c.dataset_id = w.dataset_id and c.case_id = w.case_id
      join snapshots s on s.id = ${snapshotId}
      where w.dataset_id = ${datasetId}
        and c.valid_from <= s.version and (c.valid_to is null or c.valid_to > s.version)
        and exists (select 1 from snapshot_chunks k
          where k.snapshot_id = ${snapshotId} and c.ordinal = any (k.ordinals))
      order by w.case_id limit ${limit}`,
  );
  return found.map(({ id }) => id);
}
