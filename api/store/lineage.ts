// Relatives of a snapshot, and the jobs that drew by it.

import { asc, eq, sql } from 'drizzle-orm';
import type { JobState } from '../contract/jobs.ts';
import { type Orm, rows } from './database.ts';
import { snapshots } from './schema.ts';
import type { SnapshotRow } from './snapshots.ts';

export type Relative = Pick<SnapshotRow, 'id' | 'digest' | 'header' | 'createdAt' | 'createdBy'>;

const relative = {
  id: snapshots.id,
  digest: snapshots.digest,
  header: snapshots.header,
  createdAt: snapshots.createdAt,
  createdBy: snapshots.createdBy,
  parentId: snapshots.parentId,
};

/** Parent, grandparent and so on of a snapshot, the nearest first. */
export async function listParents(
  orm: Orm,
  { parentId }: Pick<SnapshotRow, 'parentId'>,
): Promise<Relative[]> {
  const found: Relative[] = [];
  for (let id = parentId; id !== null; ) {
    const [row] = await orm.select(relative).from(snapshots).where(eq(snapshots.id, id));
    if (row === undefined) break;
    found.push(row);
    id = row.parentId;
  }
  return found;
}

/** Snapshots that were made from one, the oldest first. */
export async function listChildren(orm: Orm, id: string): Promise<Relative[]> {
  return await orm
    .select(relative)
    .from(snapshots)
    .where(eq(snapshots.parentId, id))
    .orderBy(asc(snapshots.id));
}

export type JobOfSnapshot = {
  id: string;
  state: JobState;
  alias: { name: string; number: number } | null;
};

/**
 * Jobs that were launched with a snapshot, those that have switched to it or will, and jobs of its
 * parents whose ledger names its digest. The oldest first.
 */
export async function listJobsOf(
  orm: Orm,
  { id, digest, parentIds }: { id: string; digest: string; parentIds: string[] },
): Promise<JobOfSnapshot[]> {
  const byParents =
    parentIds.length === 0
      ? sql`false`
      : sql`j.snapshot_id in ${parentIds} and exists (
          select 1 from draw_ledger l where l.job_id = j.id and l.snapshot_digest = ${digest})`;
  return await rows(
    orm,
    sql`select j.id, j.state, j.alias from jobs j
      where j.snapshot_id = ${id} or (${byParents})
        or j.id in (select job_id from job_snapshots where snapshot_id = ${id})
      order by j.id`,
  );
}
