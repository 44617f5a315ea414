// Jobs and attempts. Every move names the states it may start from, so two ticks, or a tick and a
// person, cannot both make it.

import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm';
import type { JobState, StateReason } from '../contract/jobs.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { insertEvent } from './job-events.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';

export type JobRow = typeof jobs.$inferSelect;
export type AttemptRow = typeof jobAttempts.$inferSelect;
export type AttemptKey = { jobId: string; attempt: number };

const attemptIs = ({ jobId, attempt }: AttemptKey) =>
  and(eq(jobAttempts.jobId, jobId), eq(jobAttempts.attempt, attempt));

export async function insertJob(
  orm: Orm,
  { job, attempt }: { job: JobRow; attempt: AttemptRow },
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await tx.insert(jobs).values(job);
    await tx.insert(jobAttempts).values(attempt);
    await insertEvent(tx, {
      jobId: job.id,
      at: job.createdAt,
      kind: 'created',
      detail: { by: job.createdBy, reason: job.reason },
    });
    await appendAudit(tx, audit);
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
  { workspaceId, before, limit }: { workspaceId: string; before?: string; limit: number },
): Promise<JobRow[]> {
  return await orm
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.workspaceId, workspaceId),
        before === undefined ? undefined : lt(jobs.id, before),
      ),
    )
    .orderBy(desc(jobs.id))
    .limit(limit);
}

export async function listAttempts(orm: Orm, jobIds: string[]): Promise<AttemptRow[]> {
  if (jobIds.length === 0) return [];
  return await orm
    .select()
    .from(jobAttempts)
    .where(inArray(jobAttempts.jobId, jobIds))
    .orderBy(asc(jobAttempts.jobId), asc(jobAttempts.attempt));
}

/** Every attempt that has not ended, with its job. */
export async function listLiveAttempts(orm: Orm): Promise<{ job: JobRow; attempt: AttemptRow }[]> {
  return await orm
    .select({ job: jobs, attempt: jobAttempts })
    .from(jobAttempts)
    .innerJoin(jobs, and(eq(jobs.id, jobAttempts.jobId), eq(jobs.attempt, jobAttempts.attempt)))
    .where(isNull(jobAttempts.endedAt))
    .orderBy(asc(jobs.id));
}

export async function findAttemptByToken(
  orm: Orm,
  tokenDigest: string,
): Promise<{ job: JobRow; attempt: AttemptRow } | undefined> {
  const [row] = await orm
    .select({ job: jobs, attempt: jobAttempts })
    .from(jobAttempts)
    .innerJoin(jobs, eq(jobs.id, jobAttempts.jobId))
    .where(eq(jobAttempts.tokenDigest, tokenDigest));
  return row;
}

/** Takes the right to submit an attempt until the lease ends; false where another one holds it. */
export async function moveToSubmitting(
  orm: Orm,
  { leaseUntil, now, ...key }: AttemptKey & { now: Date; leaseUntil: Date },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(jobAttempts)
      .set({ state: 'submitting', submitLeaseUntil: leaseUntil })
      .where(
        and(
          attemptIs(key),
          isNull(jobAttempts.handle),
          isNull(jobAttempts.endedAt),
          or(
            eq(jobAttempts.state, 'created'),
            and(eq(jobAttempts.state, 'submitting'), lt(jobAttempts.submitLeaseUntil, now)),
          ),
        ),
      )
      .returning({ state: jobAttempts.state });
    if (moved.length === 0) return false;
    await tx
      .update(jobs)
      .set({ state: 'submitting' })
      .where(and(eq(jobs.id, key.jobId), eq(jobs.state, 'created')));
    return true;
  });
}

export async function moveAttemptToken(
  orm: Orm,
  { tokenDigest, ...key }: AttemptKey & { tokenDigest: string },
): Promise<void> {
  await orm.update(jobAttempts).set({ tokenDigest }).where(attemptIs(key));
}

export type AttemptChange = {
  state?: JobState;
  handle?: AttemptRow['handle'];
  observation?: AttemptRow['observation'];
  startedAt?: Date;
  missingPolls?: number;
  missingSince?: Date | null;
  lastContactAt?: Date;
};

const jobMirrors: readonly JobState[] = ['queued', 'starting', 'running', 'finishing'];

/** Changes a live attempt and mirrors its state on the job; false when it has ended meanwhile. */
export async function moveAttempt(
  orm: Orm,
  { key, at, change }: { key: AttemptKey; at: Date; change: AttemptChange },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const [before] = await tx
      .select({ state: jobAttempts.state })
      .from(jobAttempts)
      .where(and(attemptIs(key), isNull(jobAttempts.endedAt)))
      .for('update');
    if (before === undefined) return false;
    await tx.update(jobAttempts).set(change).where(attemptIs(key));
    if (change.state === undefined || change.state === before.state) return true;
    if (jobMirrors.includes(change.state)) {
      await tx
        .update(jobs)
        .set({
          state: change.state,
          startedAt: sql`coalesce(${jobs.startedAt}, ${change.startedAt ?? null}::timestamptz)`,
        })
        .where(and(eq(jobs.id, key.jobId), isNull(jobs.cancelRequestedAt), isNull(jobs.endedAt)));
    }
    await insertEvent(tx, {
      jobId: key.jobId,
      at,
      kind: 'state',
      detail: { attempt: key.attempt, state: change.state },
    });
    return true;
  });
}

/** Ends an attempt and its job; its token is revoked with it. False when it had ended already. */
export async function moveAttemptToEnd(
  orm: Orm,
  {
    key,
    at,
    state,
    reason,
  }: { key: AttemptKey; at: Date; state: JobState; reason: StateReason | null },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const ended = await tx
      .update(jobAttempts)
      .set({ state, reason, endedAt: at, revokedAt: at })
      .where(and(attemptIs(key), isNull(jobAttempts.endedAt)))
      .returning({ jobId: jobAttempts.jobId });
    if (ended.length === 0) return false;
    const jobState = state === 'lost' ? 'failed' : state;
    await tx
      .update(jobs)
      .set({ state: jobState, stateReason: reason, endedAt: at })
      .where(and(eq(jobs.id, key.jobId), eq(jobs.attempt, key.attempt)));
    await insertEvent(tx, {
      jobId: key.jobId,
      at,
      kind: 'state',
      detail: { attempt: key.attempt, state, reason },
    });
    await appendAudit(tx, audit);
    return true;
  });
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

/** Adds the next attempt to an ended job; the old attempt's token is revoked first. */
export async function insertAttempt(
  orm: Orm,
  { row, at, by }: { row: AttemptRow; at: Date; by: string },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(jobs)
      .set({
        state: 'created',
        stateReason: null,
        endedAt: null,
        cancelRequestedAt: null,
        attempt: row.attempt,
      })
      .where(
        and(
          eq(jobs.id, row.jobId),
          eq(jobs.attempt, row.attempt - 1),
          gt(jobs.endedAt, new Date(0)),
        ),
      )
      .returning({ id: jobs.id });
    if (moved.length === 0) return false;
    await tx
      .update(jobAttempts)
      .set({ revokedAt: at })
      .where(and(eq(jobAttempts.jobId, row.jobId), isNull(jobAttempts.revokedAt)));
    await tx.insert(jobAttempts).values(row);
    await insertEvent(tx, {
      jobId: row.jobId,
      at,
      kind: 'retried',
      detail: { attempt: row.attempt, by },
    });
    await appendAudit(tx, audit);
    return true;
  });
}
