// Jobs. What changes a job also appends its event and, where a person or the service acted, its
// audit entry, in the same transaction.

import { and, desc, eq, inArray, isNull, lt, sql } from 'drizzle-orm';
import type { Fold } from '../contract/shared.ts';
import type { SnapshotHeader } from '../contract/snapshots.ts';
import { type AttemptRow, insertAttemptRow } from './attempts.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { insertEvent } from './job-events.ts';
import { snapshots } from './schema.ts';
import { jobs } from './schema-jobs.ts';
import { type AcceptedWithdrawn, refuseWithdrawnSince } from './withdrawals.ts';

export type JobRow = typeof jobs.$inferSelect;

/** A job with its first attempt. */
export type NewJob = { job: JobRow; attempt: AttemptRow; withdrawn: AcceptedWithdrawn };

/**
 * Stores jobs, all or none, each with its audit entry; throws `conflict` where a case was withdrawn
 * meanwhile.
 */
export async function insertJobs(
  orm: Orm,
  launches: NewJob[],
  audits: AuditEntry[],
): Promise<void> {
  await orm.transaction(async (tx) => {
    for (const { withdrawn } of launches) await refuseWithdrawnSince(tx, withdrawn);
    for (const { job, attempt } of launches) {
      await tx.insert(jobs).values(job);
      await insertAttemptRow(tx, attempt);
      await insertEvent(tx, {
        jobId: job.id,
        at: job.createdAt,
        kind: 'created',
        detail: { by: job.createdBy, reason: job.reason },
      });
    }
    for (const audit of audits) await appendAudit(tx, audit);
  });
}

export async function findJob(
  orm: Orm,
  { workspaceId, id }: { workspaceId: string; id: string },
): Promise<JobRow | undefined> {
  const [row] = await orm
    .select()
    .from(jobs)
    .where(and(eq(jobs.workspaceId, workspaceId), eq(jobs.id, id)));
  return row;
}

export async function listJobs(
  orm: Orm,
  key: { workspaceId: string; batchId?: string; before?: string; limit: number },
): Promise<JobRow[]> {
  return await orm
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.workspaceId, key.workspaceId),
        key.batchId === undefined ? undefined : eq(jobs.batchId, key.batchId),
        key.before === undefined ? undefined : lt(jobs.id, key.before),
      ),
    )
    .orderBy(desc(jobs.id))
    .limit(key.limit);
}

export type SnapshotName = {
  digest: string;
  fold: Fold;
  dataset: string;
  cause: SnapshotHeader['cause'];
};

/** What names snapshots, by id, without their vectors and lists. */
export async function listSnapshotNames(
  orm: Orm,
  ids: string[],
): Promise<Map<string, SnapshotName>> {
  if (ids.length === 0) return new Map();
  const found = await orm
    .select({
      id: snapshots.id,
      digest: snapshots.digest,
      fold: sql<Fold>`${snapshots.header} -> 'fold'`,
      dataset: sql<string>`${snapshots.header} ->> 'dataset'`,
      cause: sql<SnapshotName['cause']>`${snapshots.header} ->> 'cause'`,
    })
    .from(snapshots)
    .where(inArray(snapshots.id, ids));
  return new Map(found.map(({ id, ...names }) => [id, names]));
}

/** Marks a job as to be cancelled; false where it has ended. */
export async function moveJobToCancelling(
  orm: Orm,
  { jobId, at, by }: { jobId: string; at: Date; by: string },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(jobs)
      .set({ state: 'cancelling', cancelRequestedAt: at })
      .where(and(eq(jobs.id, jobId), isNull(jobs.endedAt), isNull(jobs.cancelRequestedAt)))
      .returning({ id: jobs.id });
    if (moved.length === 0) return false;
    await insertEvent(tx, { jobId, at, kind: 'cancelRequested', detail: { by } });
    await appendAudit(tx, audit);
    return true;
  });
}
