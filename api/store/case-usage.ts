// Where a case was used: versions, snapshots, jobs. A case keeps its ordinal in every version, and
// no other case has it, so that an ordinal is enough to find it in the chunks of snapshots.

import { sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';

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
