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
import type { JobState } from '../contract/jobs.ts';
import type { Orm } from './database.ts';
import { insertEvent } from './job-events.ts';
import type { JobRow } from './jobs.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';

// A tick reads every live attempt: their logs stay where they are.
const { log: _log, ...columns } = getTableColumns(jobAttempts);
export const attemptColumns = columns;

export type AttemptRow = Omit<typeof jobAttempts.$inferSelect, 'log'>;
export type AttemptKey = { jobId: string; attempt: number };
export type JobAttempt = { job: JobRow; attempt: AttemptRow };

export const attemptIs = ({ jobId, attempt }: AttemptKey) =>
  and(eq(jobAttempts.jobId, jobId), eq(jobAttempts.attempt, attempt));

export const isLive = (key: AttemptKey) => and(attemptIs(key), isNull(jobAttempts.endedAt));

export async function insertAttemptRow(tx: Orm, row: AttemptRow): Promise<void> {
  await tx.insert(jobAttempts).values(row);
}

export async function listAttempts(orm: Orm, jobIds: string[]): Promise<AttemptRow[]> {
  if (jobIds.length === 0) return [];
  return await orm
    .select(attemptColumns)
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

export const withJob = (orm: Orm) =>
  orm
    .select({ job: jobs, attempt: attemptColumns })
    .from(jobAttempts)
    .innerJoin(jobs, eq(jobs.id, jobAttempts.jobId));

// A job lives as long as its attempt. Said of both, because row-level security makes Postgres
// believe that few jobs are seen, and read them all, ended ones too, to find the live attempts.
const areLive = () => and(isNull(jobAttempts.endedAt), isNull(jobs.endedAt));

/** Every attempt that has not ended, with its job, oldest first. */
export async function listLiveAttempts(orm: Orm): Promise<JobAttempt[]> {
  return await withJob(orm).where(areLive()).orderBy(asc(jobs.id));
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
        areLive(),
        or(isNotNull(jobAttempts.handle), isNotNull(jobAttempts.submitLeaseUntil)),
      ),
    );
  return row.launched;
}

/** How many attempts the engine of a target may have at once. */
export type Room = { target: string; most: number };

/**
 * Takes the right to submit an attempt until the lease ends; false where another one holds it, or
 * where its target has no `room`.
 */
export async function moveToSubmitting(
  orm: Orm,
  { leaseUntil, now, room, ...key }: AttemptKey & { now: Date; leaseUntil: Date; room?: Room },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    if (room !== undefined && !(await hasRoom(tx, room))) return false;
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

// One attempt of a target at a time: what is counted holds until the transaction ends.
async function hasRoom(tx: Orm, { target, most }: Room): Promise<boolean> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`room/${target}`}, 0))`);
  return (await countLaunched(tx, target)) < most;
}

const holdsLease = (key: AttemptKey, leaseUntil: Date | null) => {
  const { submitLeaseUntil } = jobAttempts;
  const same = leaseUntil === null ? isNull(submitLeaseUntil) : eq(submitLeaseUntil, leaseUntil);
  return and(isLive(key), same);
};

/**
 * Stores the digest of an attempt's token and renews the lease; false where it has passed to
 * another, or the attempt has ended.
 */
export async function moveAttemptToken(
  orm: Orm,
  {
    tokenDigest,
    leaseUntil,
    renewedUntil,
    ...key
  }: AttemptKey & { tokenDigest: string; leaseUntil: Date; renewedUntil: Date },
): Promise<boolean> {
  const stored = await orm
    .update(jobAttempts)
    .set({ tokenDigest, submitLeaseUntil: renewedUntil })
    .where(holdsLease(key, leaseUntil))
    .returning({ attempt: jobAttempts.attempt });
  return stored.length > 0;
}

/**
 * Saves what the engine launched under a lease. `ended` where the attempt is over, `passed` where
 * another one has the lease by now, or has saved a launch.
 */
export async function moveToLaunched(
  orm: Orm,
  {
    key,
    at,
    handle,
    leaseUntil,
  }: {
    key: AttemptKey;
    at: Date;
    handle: NonNullable<AttemptRow['handle']>;
    leaseUntil: Date | null;
  },
): Promise<'saved' | 'ended' | 'passed'> {
  return await orm.transaction(async (tx) => {
    const saved = await tx
      .update(jobAttempts)
      .set({ handle, submitLeaseUntil: null })
      .where(holdsLease(key, leaseUntil))
      .returning({ state: jobAttempts.state });
    if (saved.length === 0) {
      const live = await tx
        .select({ state: jobAttempts.state })
        .from(jobAttempts)
        .where(isLive(key));
      return live.length === 0 ? 'ended' : 'passed';
    }
    if (saved[0].state !== 'submitting') return 'saved';
    await tx.update(jobAttempts).set({ state: 'queued' }).where(attemptIs(key));
    await tellState(tx, { key, at, state: 'queued' });
    return 'saved';
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

/** What the engine says of an attempt, told as an event where it is news. */
export type EngineWord = { state: string; detail?: string };

/** Changes a live attempt that is still in state `from`, and its job with it. */
export async function moveAttempt(
  orm: Orm,
  {
    key,
    from,
    at,
    change,
    news,
  }: { key: AttemptKey; from: JobState; at: Date; change: AttemptChange; news?: EngineWord },
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
    if (news !== undefined) {
      const detail = { attempt: key.attempt, ...news };
      await insertEvent(tx, { jobId: key.jobId, at, kind: 'engine', detail });
    }
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
