// How attempts end, what follows on one, and what an ended one leaves behind. As in attempts.ts, an
// end names what it was decided on, and is not made where that has changed meanwhile.

import { and, asc, eq, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm';
import type { JobState, StateReason } from '../contract/jobs.ts';
import {
  type AttemptKey,
  type AttemptRow,
  attemptColumns,
  attemptIs,
  insertAttemptRow,
  isLive,
  type JobAttempt,
} from './attempts.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { ledgerHead } from './draw-ledger.ts';
import { insertEvent } from './job-events.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';
import { type AcceptedWithdrawn, refuseWithdrawnSince } from './withdrawals.ts';

export type AttemptEnd = {
  key: AttemptKey;
  at: Date;
  state: JobState;
  reason: StateReason | null;
  /** What the decision knew: had the trainer finished, was a cancellation or a stop asked for. */
  basis: { finished: boolean; cancelRequested: boolean; stopAsked: boolean };
  /** The last lines of its output, for the log of a trainer that sent none. */
  output?: string;
  /** The attempt that the service adds by itself. */
  next: NextAttempt | null;
};

export type NextAttempt = {
  row: AttemptRow;
  withdrawn: AcceptedWithdrawn;
  audit: AuditEntry;
};

/**
 * Ends an attempt and its job; its token is revoked with it, and the detail of the audit entry gets
 * `ledger`, the end of the job's draw ledger: this attempt adds nothing after it. False when it had
 * ended already, or when a final report or a cancellation has come in that the decision did not
 * know of.
 */
export async function moveAttemptToEnd(
  orm: Orm,
  { key, at, state, reason, basis, output = '', next }: AttemptEnd,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    if (!(await stillHolds(tx, key, basis))) return false;
    const log = sql`case when ${jobAttempts.log} = '' then ${output} else ${jobAttempts.log} end`;
    const ended = { state, reason, endedAt: at, revokedAt: at, log };
    await tx.update(jobAttempts).set(ended).where(attemptIs(key));
    await tx
      .update(jobs)
      .set({ state: state === 'lost' ? 'failed' : state, stateReason: reason, endedAt: at })
      .where(and(eq(jobs.id, key.jobId), eq(jobs.attempt, key.attempt)));
    const detail = { attempt: key.attempt, state, reason };
    await insertEvent(tx, { jobId: key.jobId, at, kind: 'state', detail });
    const ledger = await ledgerHead(tx, key.jobId);
    await appendAudit(tx, { ...audit, detail: { ...audit.detail, ledger } });
    if (next !== null) await addAttempt(tx, { ...next, at, by: 'service' });
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
  next: NextAttempt & { at: Date; by: string },
): Promise<boolean> {
  return await orm.transaction((tx) => addAttempt(tx, next));
}

async function addAttempt(
  tx: Orm,
  { row, at, by, withdrawn, audit }: NextAttempt & { at: Date; by: string },
): Promise<boolean> {
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
    .where(and(eq(jobs.id, row.jobId), eq(jobs.attempt, row.attempt - 1), isNotNull(jobs.endedAt)))
    .returning({ id: jobs.id });
  if (moved.length === 0) return false;
  await tx
    .update(jobAttempts)
    .set({ revokedAt: at })
    .where(and(eq(jobAttempts.jobId, row.jobId), isNull(jobAttempts.revokedAt)));
  await insertAttemptRow(tx, row);
  const notBefore = row.notBefore === null ? {} : { notBefore: row.notBefore.toISOString() };
  const detail = { attempt: row.attempt, by, ...notBefore };
  await insertEvent(tx, { jobId: row.jobId, at, kind: 'retried', detail });
  await appendAudit(tx, audit);
  return true;
}

/** Ended attempts since a moment whose engine may still hold something of theirs, oldest first. */
export async function listUncleaned(orm: Orm, since: Date): Promise<JobAttempt[]> {
  const attempts = await orm
    .select(attemptColumns)
    .from(jobAttempts)
    .where(
      and(
        gt(jobAttempts.endedAt, since),
        isNull(jobAttempts.cleanedAt),
        isNotNull(jobAttempts.handle),
      ),
    )
    .orderBy(asc(jobAttempts.endedAt));
  if (attempts.length === 0) return [];
  // Not joined: as with live attempts, Postgres would read all jobs first.
  const ids = [...new Set(attempts.map(({ jobId }) => jobId))];
  const found = await orm.select().from(jobs).where(inArray(jobs.id, ids));
  const jobOf = new Map(found.map((job) => [job.id, job]));
  return attempts.flatMap((attempt) => {
    const job = jobOf.get(attempt.jobId);
    return job === undefined ? [] : [{ job, attempt }];
  });
}

/** Notes when an engine was first told to stop an attempt: its grace counts from then. */
export async function moveToTold(orm: Orm, key: AttemptKey, at: Date): Promise<void> {
  await orm
    .update(jobAttempts)
    .set({ stopToldAt: at })
    .where(and(attemptIs(key), isNull(jobAttempts.stopToldAt)));
}

/** Notes that nothing of an ended attempt is left on its engine. */
export async function moveToCleaned(orm: Orm, key: AttemptKey, at: Date): Promise<void> {
  await orm.update(jobAttempts).set({ cleanedAt: at }).where(attemptIs(key));
}
