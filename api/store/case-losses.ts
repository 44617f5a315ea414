// The mean losses of cases as trainers report them, and their means over epochs, where what a later
// attempt did again counts once.

import { sql } from 'drizzle-orm';
import type { CaseLoss, ReportedLoss } from '../contract/trainer.ts';
import type { AttemptKey } from './attempts.ts';
import { type Orm, rows } from './database.ts';

/** Stores the losses of one report, inside its transaction. */
export async function insertCaseLosses(
  tx: Orm,
  { key, sequence, caseLosses }: { key: AttemptKey; sequence: number; caseLosses: CaseLoss[] },
): Promise<void> {
  if (caseLosses.length === 0) return;
  await tx.execute(sql`
    insert into case_losses (job_id, attempt, report_sequence, case_id, loss, seen, epoch, from_draw)
    select ${key.jobId}, ${key.attempt}::int, ${sequence}::int, line.id, line.loss, line.seen,
      line.epoch, line."from"
    from jsonb_to_recordset(${JSON.stringify(caseLosses)}::jsonb)
      as line (id text, loss float8, seen int, epoch int, "from" bigint)
    on conflict do nothing`);
}

/**
 * The mean loss of every case over the draws of some epochs, both ends included. An attempt that
 * began again at a draw did all from there on anew: what earlier ones reported of it is left out.
 */
export async function meanCaseLosses(
  orm: Orm,
  { jobId, from, to }: { jobId: string; from: number; to: number },
): Promise<Map<string, ReportedLoss>> {
  const found = await rows<ReportedLoss & { id: string }>(
    orm,
    sql`with starts as (
      select distinct on (attempt) attempt, epoch, from_draw from draw_ledger
      where job_id = ${jobId} order by attempt, epoch, from_draw
    )
    select c.case_id as id, sum(c.loss * c.seen) / sum(c.seen) as loss, sum(c.seen)::float8 as seen
    from case_losses c
    where c.job_id = ${jobId} and c.epoch between ${from}::int and ${to}::int
      and not exists (select 1 from starts s
        where s.attempt > c.attempt and (s.epoch, s.from_draw) <= (c.epoch, c.from_draw))
    group by c.case_id`,
  );
  return new Map(found.map(({ id, loss, seen }) => [id, { loss, seen }]));
}
