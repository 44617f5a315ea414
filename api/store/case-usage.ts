// Where a case was used: versions, snapshots, jobs. A case keeps its ordinal in every version, and
// no other case has it, so that an ordinal is enough to find it in the chunks of snapshots.

import { eq, inArray, sql } from 'drizzle-orm';
import type { JobState } from '../contract/jobs.ts';
import type { Settings } from '../contract/settings.ts';
import { type Orm, rows } from './database.ts';
import type { JobRow } from './jobs.ts';
import { snapshots } from './schema.ts';
import { jobs } from './schema-jobs.ts';
import { chunkCases } from './snapshots.ts';

/** The ordinal of a case in its dataset; undefined where the dataset never had such a case. */
export async function findCaseOrdinal(
  orm: Orm,
  { datasetId, caseId }: { datasetId: string; caseId: string },
): Promise<number | undefined> {
  const [row] = await rows<{ ordinal: number }>(
    orm,
    sql`select ordinal from cases where dataset_id = ${datasetId} and case_id = ${caseId} limit 1`,
  );
  return row?.ordinal;
}

/** How many snapshots of a dataset hold the case of an ordinal. */
export async function countSnapshotsWith(
  orm: Orm,
  { datasetId, ordinal }: { datasetId: string; ordinal: number },
): Promise<number> {
  const [row] = await rows<{ count: number }>(
    orm,
    sql`select count(*)::int as count from snapshots s
      join snapshot_chunks k on k.snapshot_id = s.id and ${ordinal}::int = any (k.ordinals)
      where s.dataset_id = ${datasetId}`,
  );
  return row.count;
}

/** Committed versions and the draft that have the case, in order. */
export async function listVersionsWith(
  orm: Orm,
  { datasetId, ordinal }: { datasetId: string; ordinal: number },
): Promise<number[]> {
  const found = await rows<{ number: number }>(
    orm,
    sql`select v.number from dataset_versions v join cases c on c.dataset_id = v.dataset_id
        and c.valid_from <= v.number and (c.valid_to is null or c.valid_to > v.number)
      where v.dataset_id = ${datasetId} and v.state <> 'discarded' and c.ordinal = ${ordinal}
      order by v.number`,
  );
  return found.map(({ number }) => number);
}

export type SnapshotWith = {
  id: string;
  digest: string;
  version: number;
  split: string;
  fold: string;
  /** Draw units of the case out of 2^52; null where it is excluded. */
  drawUnits: number | null;
  createdAt: Date;
  total: number;
};

/** Snapshots that hold a case or exclude it, the newest first; `total` counts all of them. */
export async function listSnapshotsWith(
  orm: Orm,
  key: { datasetId: string; caseId: string; ordinal: number; limit: number },
): Promise<SnapshotWith[]> {
  const found = await rows<Omit<SnapshotWith, 'createdAt'> & { createdAt: string }>(
    orm,
    sql`select s.id, s.digest, s.version, s.split, s.fold, s.created_at::text as "createdAt",
        k.draw_units[array_position(k.ordinals, ${key.ordinal}::int)]::float8 as "drawUnits",
        count(*) over ()::int as total
      from snapshots s
      left join snapshot_chunks k on k.snapshot_id = s.id and ${key.ordinal}::int = any (k.ordinals)
      where s.dataset_id = ${key.datasetId}
        and (k.snapshot_id is not null or s.excluded @> ${JSON.stringify([{ id: key.caseId }])}::jsonb)
      order by s.id desc limit ${key.limit}`,
  );
  return found.map((row) => ({ ...row, createdAt: new Date(row.createdAt) }));
}

export type JobWith = {
  id: string;
  state: JobState;
  snapshotId: string;
  digest: string;
  seed: number;
  settings: Settings;
  progress: JobRow['progress'];
  /** Place of the case in the snapshot, in digest order; null where it is on the other side. */
  place: number | null;
  total: number;
};

/**
 * Jobs that drew a case or were judged by it, the newest first; `total` counts all of them. A case
 * that was withdrawn before a job was launched is no longer on its validation side.
 */
export async function listJobsWith(
  orm: Orm,
  key: { datasetId: string; caseId: string; ordinal: number; jobId?: string; limit: number },
): Promise<JobWith[]> {
  const { datasetId, caseId, ordinal } = key;
  const found = await rows<{ id: string; place: number | null; total: number }>(
    orm,
    sql`with used as (
      select s.id, s.version, s.split, s.fold from snapshots s
      where s.id in (select snapshot_id from jobs where dataset_id = ${datasetId})
    ), held as (
      select k.snapshot_id as id,
        k.chunk * ${chunkCases}::int + array_position(k.ordinals, ${ordinal}::int) - 1 as place
      from used join snapshot_chunks k
        on k.snapshot_id = used.id and ${ordinal}::int = any (k.ordinals)
    ), judged as (
      select used.id from used where exists (select 1 from splits p
        where p.dataset_id = ${datasetId} and p.number = used.version and p.name = used.split
          and p.fold::text = used.fold and ${ordinal}::int = any (p.val))
      or used.fold = 'all' and exists (select 1 from cases c
        where c.dataset_id = ${datasetId} and c.ordinal = ${ordinal} and c.valid_from <= used.version
          and (c.valid_to is null or c.valid_to > used.version))
    )
    select j.id, held.place, count(*) over ()::int as total from jobs j
    left join held on held.id = j.snapshot_id
    left join withdrawals w on w.dataset_id = j.dataset_id and w.case_id = ${caseId}
    where j.dataset_id = ${datasetId} and (held.id is not null
      or j.snapshot_id in (select id from judged) and (w.case_id is null or w.created_at > j.created_at))
    and (${key.jobId ?? null}::text is null or j.id = ${key.jobId ?? null}::text)
    order by j.id desc limit ${key.limit}`,
  );
  const facts = await factsOfJobs(
    orm,
    found.map(({ id }) => id),
  );
  return found.flatMap((row) =>
    facts.filter(({ id }) => id === row.id).map((fact) => ({ ...fact, ...row })),
  );
}

async function factsOfJobs(orm: Orm, ids: string[]) {
  if (ids.length === 0) return [];
  return await orm
    .select({
      id: jobs.id,
      state: jobs.state,
      snapshotId: jobs.snapshotId,
      digest: snapshots.digest,
      seed: jobs.seed,
      settings: jobs.settings,
      progress: jobs.progress,
    })
    .from(jobs)
    .innerJoin(snapshots, eq(snapshots.id, jobs.snapshotId))
    .where(inArray(jobs.id, ids));
}
