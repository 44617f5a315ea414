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

/** Appends the same event to several jobs, inside the transaction of what it tells. */
export async function insertEvents(
  tx: Orm,
  { jobIds, at, kind, detail }: Omit<EventRow, 'sequence' | 'jobId'> & { jobIds: string[] },
): Promise<void> {
  const ids = sql`(select id from jsonb_array_elements_text(${JSON.stringify(jobIds)}::jsonb) id
    order by id) job`;
  // The locks first and alone: the numbers below are read as they are once all locks are held.
  await tx.execute(
    sql`select pg_advisory_xact_lock(hashtextextended('events/' || job.id, 0)) from ${ids}`,
  );
  await tx.execute(sql`
    insert into job_events (job_id, sequence, at, kind, detail)
    select job.id, 1 + coalesce((select max(e.sequence) from job_events e where e.job_id = job.id), 0),
      ${at.toISOString()}::timestamptz, ${kind}, ${JSON.stringify(detail)}::jsonb
    from ${ids}`);
}

/** All events of a kind, oldest first. */
export async function listEventsOfKind(
  orm: Orm,
  { jobId, kind }: { jobId: string; kind: string },
): Promise<EventRow[]> {
  return await orm
    .select()
    .from(jobEvents)
    .where(and(eq(jobEvents.jobId, jobId), eq(jobEvents.kind, kind)))
    .orderBy(asc(jobEvents.sequence));
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
