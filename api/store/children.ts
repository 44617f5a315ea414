// Child snapshots: what each was made from, and which one a job draws by from which epoch on. A
// child, its origin, the switch, its event and its audit entries are one transaction.

import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { SnapshotHeader } from '../contract/snapshots.ts';
import type { CaseEvidence } from '../contract/trainer.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { insertEvent } from './job-events.ts';
import { arrayLiteral, float64Array, wholeNumbers } from './number-arrays.ts';
import { snapshots } from './schema.ts';
import { jobSnapshots, jobs } from './schema-jobs.ts';
import {
  findSnapshotByInput,
  insertSnapshot,
  type MadeSnapshot,
  type SnapshotRow,
} from './snapshots.ts';

/** What a child was made from, beside its parent and its rules: one of the three last fields. */
export type Origin = {
  /** Of a ramp: how much of the final draws it holds. */
  share: number | null;
  /** Of an adaptive child, in digest order. */
  evidence: CaseEvidence | null;
  /** Of a revert: the snapshot that it draws like. */
  sourceId: string | null;
};

type OriginBytes = {
  share: number | null;
  losses: Uint8Array | null;
  seen: Uint8Array | null;
  sourceId: string | null;
};

/** What a child was made from; undefined for a snapshot that is none. */
export async function findOrigin(orm: Orm, snapshotId: string): Promise<Origin | undefined> {
  const [row] = await rows<OriginBytes>(
    orm,
    sql`select share, array_send(losses) as losses, array_send(seen) as seen,
      source_id as "sourceId" from snapshot_origins where snapshot_id = ${snapshotId}`,
  );
  if (row === undefined) return undefined;
  const { share, losses, seen, sourceId } = row;
  const evidence =
    losses === null || seen === null
      ? null
      : { losses: float64Array(losses), seen: wholeNumbers(seen) };
  return { share, evidence, sourceId };
}

async function insertOrigin(
  tx: Orm,
  { snapshotId, jobId, origin }: { snapshotId: string; jobId: string; origin: Origin },
): Promise<void> {
  const { share, evidence, sourceId } = origin;
  const losses = evidence === null ? sql`null` : arrayLiteral(evidence.losses);
  const seen = evidence === null ? sql`null` : arrayLiteral(evidence.seen);
  await tx.execute(sql`
    insert into snapshot_origins (snapshot_id, job_id, share, losses, seen, source_id)
    values (${snapshotId}, ${jobId}, ${share}, ${losses}::float8[], ${seen}::bigint[], ${sourceId})`);
}

/** A snapshot that a job draws by from an epoch on. */
export type Stage = {
  jobId: string;
  fromEpoch: number;
  snapshotId: string;
  digest: string;
  cause: SnapshotHeader['cause'];
};

/** The switches of jobs, each job's in the order of epochs. */
export async function listStages(orm: Orm, jobIds: string[]): Promise<Stage[]> {
  if (jobIds.length === 0) return [];
  return await orm
    .select({
      jobId: jobSnapshots.jobId,
      fromEpoch: jobSnapshots.fromEpoch,
      snapshotId: jobSnapshots.snapshotId,
      digest: snapshots.digest,
      cause: sql<Stage['cause']>`${snapshots.header} ->> 'cause'`,
    })
    .from(jobSnapshots)
    .innerJoin(snapshots, eq(snapshots.id, jobSnapshots.snapshotId))
    .where(inArray(jobSnapshots.jobId, jobIds))
    .orderBy(asc(jobSnapshots.jobId), asc(jobSnapshots.fromEpoch));
}

/** A child that is to be stored, or the one that the same inputs made for another job. */
export type MadeChild = { inputDigest: string; origin: Origin } & (
  | { stored: SnapshotRow }
  | { stored: null; made: MadeSnapshot; entry: AuditEntry }
);

export type Switch = {
  jobId: string;
  at: Date;
  fromEpoch: number;
  child: MadeChild;
  /** Told in the event, and vouched for by the entry, which gets the child's digest. */
  detail: Record<string, unknown>;
  entry: AuditEntry;
};

/**
 * Stores a child and the switch to it; null where the job switches at that epoch already, or at a
 * later one. A revert takes up what a monitor asked for, and marks the job.
 */
export async function insertSwitch(orm: Orm, given: Switch): Promise<Stage | null> {
  const { jobId, at, fromEpoch, child } = given;
  return await orm.transaction(async (tx) => {
    // Two reports may decide at once; the second one finds what the first has stored.
    await tx.execute(sql`select 1 from jobs where id = ${jobId} for update`);
    const last = (await listStages(tx, [jobId])).at(-1);
    if (last !== undefined && last.fromEpoch >= fromEpoch) return null;
    const { row, entry } = await storedChild(tx, jobId, child);
    const { digest, header } = row;
    await tx.insert(jobSnapshots).values({ jobId, fromEpoch, snapshotId: row.id, at });
    if (header.cause === 'revert') {
      const done = { revertRequested: null, validationInformed: true };
      await tx.update(jobs).set(done).where(eq(jobs.id, jobId));
    }
    const detail = { ...given.detail, to: digest, fromEpoch, cause: header.cause };
    await insertEvent(tx, { jobId, at, kind: 'snapshotSwitched', detail });
    // Entries last, as elsewhere: whoever holds the lock of the chain waits for no other.
    if (entry !== null) await appendAudit(tx, entry);
    await appendAudit(tx, { ...given.entry, detail });
    return { jobId, fromEpoch, snapshotId: row.id, digest, cause: header.cause };
  });
}

async function storedChild(
  tx: Orm,
  jobId: string,
  child: MadeChild,
): Promise<{ row: SnapshotRow; entry: AuditEntry | null }> {
  if (child.stored !== null) return { row: child.stored, entry: null };
  const { made, entry, origin, inputDigest } = child;
  const added = await insertSnapshot(tx, made);
  if (added === null) {
    const { workspaceId } = made.row;
    const row = (await findSnapshotByInput(tx, { workspaceId, inputDigest })) as SnapshotRow;
    return { row, entry: null };
  }
  await insertOrigin(tx, { snapshotId: made.row.id, jobId, origin });
  return { row: added.row, entry: { ...entry, detail: { ...entry.detail, ...added.kept } } };
}

/** Says in an event why nothing was switched; `answered` also takes back a wish to revert. */
export async function insertNoSwitch(
  orm: Orm,
  {
    jobId,
    at,
    detail,
    answered,
  }: {
    jobId: string;
    at: Date;
    detail: Record<string, unknown>;
    answered: boolean;
  },
): Promise<void> {
  await orm.transaction(async (tx) => {
    if (answered) await tx.update(jobs).set({ revertRequested: null }).where(eq(jobs.id, jobId));
    await insertEvent(tx, { jobId, at, kind: 'snapshotKept', detail });
  });
}

/** A snapshot that a job has switched to, by digest. */
export async function findSnapshotOfJob(
  orm: Orm,
  { jobId, digest }: { jobId: string; digest: string },
): Promise<SnapshotRow | undefined> {
  const [found] = await orm
    .select({ row: snapshots })
    .from(jobSnapshots)
    .innerJoin(snapshots, eq(snapshots.id, jobSnapshots.snapshotId))
    .where(and(eq(jobSnapshots.jobId, jobId), eq(snapshots.digest, digest)))
    .limit(1);
  return found?.row;
}
