// Attempts of jobs. Every move names what it was decided on, and is not made where that has changed
// meanwhile: two ticks, or a tick and a trainer, cannot overrule each other.

import {
  and,
  asc,
  count,
  eq,
  getTableColumns,
  inArray,
  isNotNull,
  isNull,
  lt,
  or,
  sql,
} from 'drizzle-orm';
import type { JobState, StateReason } from '../contract/jobs.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { ledgerHead } from './draw-ledger.ts';
import { insertEvent } from './job-events.ts';
import type { JobRow } from './jobs.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';
import { type AcceptedWithdrawn, refuseWithdrawnSince } from './withdrawals.ts';

// A tick reads every live attempt: their logs stay where they are.
const { log: _log, ...columns } = getTableColumns(jobAttempts);

export type AttemptRow = Omit<typeof jobAttempts.$inferSelect, 'log'>;
export type AttemptKey = { jobId: string; attempt: number };
export type JobAttempt = { job: JobRow; attempt: AttemptRow };

export const attemptIs = ({ jobId, attempt }: AttemptKey) =>
  and(eq(jobAttempts.jobId, jobId), eq(jobAttempts.attempt, attempt));

const isLive = (key: AttemptKey) => and(attemptIs(key), isNull(jobAttempts.endedAt));

export async function insertAttemptRow(tx: Orm, row: AttemptRow): Promise<void> {
  await tx.insert(jobAttempts).values(row);
}

export async function listAttempts(orm: Orm, jobIds: string[]): Promise<AttemptRow[]> {
  if (jobIds.length === 0) return [];
  return await orm
    .select(columns)
    .from(jobAttempts)
    .where(inArray(jobAttempts.jobId, jobIds))
    .orderBy(asc(jobAttempts.jobId), asc(jobAttempts.attempt));
}

/** The log tail of a job's latest attempt. */
export async function findLog(orm: Orm, jobId: string): Promise<string | undefined> {
  const [row] = await orm
    .select({ log: jobAttempts.log })
    .from(jobAttempts)
    .innerJoin(jobs, and(eq(jobs.id, jobAttempts.jobId), eq(jobs.attempt, jobAttempts.attempt)))
    .where(eq(jobs.id, jobId));
  return row?.log;
}

const withJob = (orm: Orm) =>
  orm
    .select({ job: jobs, attempt: columns })
    .from(jobAttempts)
    .innerJoin(jobs, eq(jobs.id, jobAttempts.jobId));

/** Every attempt that has not ended, with its job, oldest first. */
export async function listLiveAttempts(orm: Orm): Promise<JobAttempt[]> {
  return await withJob(orm).where(isNull(jobAttempts.endedAt)).orderBy(asc(jobs.id));
}

export async function findAttempt(orm: Orm, key: AttemptKey): Promise<JobAttempt | undefined> {
  return (await withJob(orm).where(attemptIs(key)))[0];
}

export async function findAttemptByToken(
  orm: Orm,
  tokenDigest: string,
): Promise<JobAttempt | undefined> {
  return (await withJob(orm).where(eq(jobAttempts.tokenDigest, tokenDigest)))[0];
}

/** How many attempts the engine of a target was given and that have not ended. */
export async function countLaunched(orm: Orm, target: string): Promise<number> {
  const [row] = await orm
    .select({ launched: count() })
    .from(jobAttempts)
    .innerJoin(jobs, eq(jobs.id, jobAttempts.jobId))
    .where(
      and(
        eq(jobs.target, target),
        isNull(jobAttempts.endedAt),
        or(isNotNull(jobAttempts.handle), isNotNull(jobAttempts.submitLeaseUntil)),
      ),
    );
  return row.launched;
}

/** Takes the right to submit an attempt until the lease ends; false where another one holds it. */
export async function moveToSubmitting(
  orm: Orm,
  { leaseUntil, now, ...key }: AttemptKey & { now: Date; leaseUntil: Date },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    // The state is not asked for: a trainer whose launch was never saved may have spoken already.
    const moved = await tx
      .update(jobAttempts)
      .set({
        state: sql`case when ${jobAttempts.state} = 'created' then 'submitting' else ${jobAttempts.state} end`,
        submitLeaseUntil: leaseUntil,
      })
      .where(
        and(
          isLive(key),
          isNull(jobAttempts.handle),
          or(isNull(jobAttempts.submitLeaseUntil), lt(jobAttempts.submitLeaseUntil, now)),
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

/** Stores the digest of an attempt's token; false where the lease has passed to another. */
export async function moveAttemptToken(
  orm: Orm,
  { tokenDigest, leaseUntil, ...key }: AttemptKey & { tokenDigest: string; leaseUntil: Date },
): Promise<boolean> {
  const stored = await orm
    .update(jobAttempts)
    .set({ tokenDigest })
    .where(and(isLive(key), eq(jobAttempts.submitLeaseUntil, leaseUntil)))
    .returning({ attempt: jobAttempts.attempt });
  return stored.length > 0;
}

/** Saves what the engine launched; false where the attempt has ended meanwhile. */
export async function moveToLaunched(
  orm: Orm,
  { key, at, handle }: { key: AttemptKey; at: Date; handle: NonNullable<AttemptRow['handle']> },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const saved = await tx
      .update(jobAttempts)
      .set({ handle, submitLeaseUntil: null })
      .where(isLive(key))
      .returning({ state: jobAttempts.state });
    if (saved.length === 0) return false;
    if (saved[0].state !== 'submitting') return true;
    await tx.update(jobAttempts).set({ state: 'queued' }).where(attemptIs(key));
    await tellState(tx, { key, at, state: 'queued' });
    return true;
  });
}

export type AttemptChange = {
  state: JobState;
  observation?: AttemptRow['observation'];
  startedAt?: Date;
  missingPolls?: number;
  missingSince?: Date | null;
  lastContactAt?: Date;
};

/** Changes a live attempt that is still in state `from`, and its job with it. */
export async function moveAttempt(
  orm: Orm,
  { key, from, at, change }: { key: AttemptKey; from: JobState; at: Date; change: AttemptChange },
): Promise<boolean> {
  const { state, startedAt } = change;
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(jobAttempts)
      .set(change)
      .where(and(isLive(key), eq(jobAttempts.state, from)))
      .returning({ state: jobAttempts.state });
    if (moved.length === 0) return false;
    if (state !== from) await tellState(tx, { key, at, state, startedAt });
    return true;
  });
}

// A job whose cancellation was asked for keeps saying so.
async function tellState(
  tx: Orm,
  { key, at, state, startedAt }: { key: AttemptKey; at: Date; state: JobState; startedAt?: Date },
): Promise<void> {
  await tx
    .update(jobs)
    .set({
      state,
      startedAt: sql`coalesce(${jobs.startedAt}, ${startedAt?.toISOString() ?? null}::timestamptz)`,
    })
    .where(and(eq(jobs.id, key.jobId), isNull(jobs.cancelRequestedAt), isNull(jobs.endedAt)));
  const detail = { attempt: key.attempt, state };
  await insertEvent(tx, { jobId: key.jobId, at, kind: 'state', detail });
}

export type AttemptEnd = {
  key: AttemptKey;
  at: Date;
  state: JobState;
  reason: StateReason | null;
  /** What the decision knew: had the trainer finished, was a cancellation or a stop asked for. */
  basis: { finished: boolean; cancelRequested: boolean; stopAsked: boolean };
};

/**
 * Ends an attempt and its job; its token is revoked with it, and the detail of the audit entry gets
 * `ledger`, the end of the job's draw ledger: this attempt adds nothing after it. False when it had
 * ended already, or when a final report or a cancellation has come in that the decision did not
 * know of.
 */
export async function moveAttemptToEnd(
  orm: Orm,
  { key, at, state, reason, basis }: AttemptEnd,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    if (!(await stillHolds(tx, key, basis))) return false;
    const ended = { state, reason, endedAt: at, revokedAt: at };
    await tx.update(jobAttempts).set(ended).where(attemptIs(key));
    await tx
      .update(jobs)
      .set({ state: state === 'lost' ? 'failed' : state, stateReason: reason, endedAt: at })
      .where(and(eq(jobs.id, key.jobId), eq(jobs.attempt, key.attempt)));
    const detail = { attempt: key.attempt, state, reason };
    await insertEvent(tx, { jobId: key.jobId, at, kind: 'state', detail });
    const ledger = await ledgerHead(tx, key.jobId);
    await appendAudit(tx, { ...audit, detail: { ...audit.detail, ledger } });
    return true;
  });
}

async function stillHolds(tx: Orm, key: AttemptKey, basis: AttemptEnd['basis']): Promise<boolean> {
  const [attempt] = await tx
    .select({ finish: jobAttempts.finish })
    .from(jobAttempts)
    .where(isLive(key))
    .for('update');
  const [job] = await tx
    .select({ cancelRequestedAt: jobs.cancelRequestedAt, stopReason: jobs.stopReason })
    .from(jobs)
    .where(eq(jobs.id, key.jobId))
    .for('update');
  if (attempt === undefined || job === undefined) return false;
  const finished = attempt.finish !== null;
  const cancelRequested = job.cancelRequestedAt !== null;
  const stopAsked = job.stopReason !== null;
  const now = { finished, cancelRequested, stopAsked };
  return (Object.keys(now) as (keyof typeof now)[]).every((fact) => now[fact] === basis[fact]);
}

/** Adds the next attempt to an ended job; the old attempt's token is revoked first. */
export async function insertAttempt(
  orm: Orm,
  {
    row,
    at,
    by,
    withdrawn,
  }: { row: AttemptRow; at: Date; by: string; withdrawn: AcceptedWithdrawn },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    await refuseWithdrawnSince(tx, withdrawn);
    const moved = await tx
      .update(jobs)
      .set({
        state: 'created',
        stateReason: null,
        endedAt: null,
        cancelRequestedAt: null,
        stopReason: null,
        summary: null,
        artifacts: [],
        attempt: row.attempt,
      })
      .where(
        and(eq(jobs.id, row.jobId), eq(jobs.attempt, row.attempt - 1), isNotNull(jobs.endedAt)),
      )
      .returning({ id: jobs.id });
    if (moved.length === 0) return false;
    await tx
      .update(jobAttempts)
      .set({ revokedAt: at })
      .where(and(eq(jobAttempts.jobId, row.jobId), isNull(jobAttempts.revokedAt)));
    await insertAttemptRow(tx, row);
    const detail = { attempt: row.attempt, by };
    await insertEvent(tx, { jobId: row.jobId, at, kind: 'retried', detail });
    await appendAudit(tx, audit);
    return true;
  });
}
