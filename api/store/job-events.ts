// What happened to a job, numbered from 1 without gaps.

import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { Orm } from './database.ts';
import { jobEvents } from './schema-jobs.ts';

export type EventRow = typeof jobEvents.$inferSelect;

/** Appends an event inside the transaction of what it tells. */
export async function insertEvent(tx: Orm, event: Omit<EventRow, 'sequence'>): Promise<void> {
  await tx.execute(
    sql`select pg_advisory_xact_lock(hashtextextended(${`events/${event.jobId}`}, 0))`,
  );
  await tx.execute(sql`
    insert into job_events (job_id, sequence, at, kind, detail)
    select ${event.jobId}, coalesce(max(sequence), 0) + 1, ${event.at.toISOString()}::timestamptz,
      ${event.kind}, ${JSON.stringify(event.detail)}::jsonb
    from job_events where job_id = ${event.jobId}`);
}

export async function listEvents(
  orm: Orm,
  { jobId, after, limit }: { jobId: string; after: number; limit: number },
): Promise<EventRow[]> {
  return await orm
    .select()
    .from(jobEvents)
    .where(and(eq(jobEvents.jobId, jobId), gt(jobEvents.sequence, after)))
    .orderBy(asc(jobEvents.sequence))
    .limit(limit);
}
