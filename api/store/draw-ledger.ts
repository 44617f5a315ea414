// The draws that trainers reported, each range with what its replay said. Rows never change.

import { asc, eq, sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';
import { drawLedger } from './schema-jobs.ts';

export async function listLedger(orm: Orm, jobId: string) {
  return await orm
    .select()
    .from(drawLedger)
    .where(eq(drawLedger.jobId, jobId))
    .orderBy(asc(drawLedger.sequence));
}

export type EpochCounts = { verified: number; partial: number; mismatch: number };

// `reached` is how far the matching ranges before one have come, so overlaps after a resume count
// once. services/jobs/ledger.ts says the same.
const epochsOf = (jobIds: string[]) => sql`ranges as (
    select job_id, epoch, matches, from_draw, from_draw + draws as until,
      coalesce(max(from_draw + draws) filter (where matches) over (
        partition by job_id, epoch order by from_draw, sequence
        rows between unbounded preceding and 1 preceding), 0) as reached
    from draw_ledger
    where job_id in (select value from jsonb_array_elements_text(${JSON.stringify(jobIds)}::jsonb))
  ), covered as (
    select job_id, epoch, bool_or(not matches) as wrong,
      coalesce(sum(greatest(0, until - greatest(from_draw, reached))) filter (where matches), 0)
        as draws
    from ranges group by job_id, epoch
  ), epochs as (
    select job_id, epoch, wrong, not wrong
      and covered.draws = (jobs.settings ->> 'drawsPerEpoch')::bigint as verified
    from covered join jobs on jobs.id = job_id
  )`;

/** Epochs of jobs by state, counted where they lie. */
export async function countEpochs(orm: Orm, jobIds: string[]): Promise<Map<string, EpochCounts>> {
  if (jobIds.length === 0) return new Map();
  const counted = await rows<EpochCounts & { jobId: string }>(
    orm,
    sql`with ${epochsOf(jobIds)}
    select job_id as "jobId",
      (count(*) filter (where verified))::int as verified,
      (count(*) filter (where not wrong and not verified))::int as partial,
      (count(*) filter (where wrong))::int as mismatch
    from epochs group by job_id`,
  );
  return new Map(counted.map(({ jobId, ...counts }) => [jobId, counts]));
}

export type VerifiedEpochs = { verified: number[]; begun: number };

/** Numbers of the verified epochs of jobs, and how many epochs their ledgers know of. */
export async function listVerifiedEpochs(
  orm: Orm,
  jobIds: string[],
): Promise<Map<string, VerifiedEpochs>> {
  if (jobIds.length === 0) return new Map();
  const found = await rows<VerifiedEpochs & { jobId: string }>(
    orm,
    sql`with ${epochsOf(jobIds)}
    select job_id as "jobId", max(epoch) + 1 as begun,
      coalesce(jsonb_agg(epoch order by epoch) filter (where verified), '[]') as verified
    from epochs group by job_id`,
  );
  return new Map(found.map(({ jobId, ...epochs }) => [jobId, epochs]));
}
