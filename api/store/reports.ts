// What trainers report: one report is one transaction, mostly of one statement, and its sequence
// number makes repeating it store nothing.

import { and, eq, isNull, sql } from 'drizzle-orm';
import type { StateReason } from '../contract/jobs.ts';
import type { MonitorStates } from '../contract/monitors.ts';
import type { TrainingPlan } from '../contract/plans.ts';
import type { CaseLoss, Metric, TrainerEnvironment } from '../contract/trainer.ts';
import { type AttemptKey, attemptIs } from './attempts.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { insertCaseLosses } from './case-losses.ts';
import { type Orm, rows } from './database.ts';
import { insertLedgerRows, type LedgerRow } from './draw-ledger.ts';
import { insertEvent } from './job-events.ts';
import { metricChunks } from './metrics.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';

export type StoredReport = {
  key: AttemptKey;
  at: Date;
  sequence: number;
  metrics: Metric[];
  caseLosses: CaseLoss[];
  ledger: LedgerRow[];
  log: string;
  progress: { step: number; steps: number } | null;
  environment: TrainerEnvironment | null;
  plan: TrainingPlan | null;
};

/** What the monitors say after a report: how each stands, what is new, and whether to stop. */
export type MonitorNews = {
  states: MonitorStates;
  findings: { detail: Record<string, unknown>; entry: AuditEntry }[];
  /** Set where a monitor that stops jobs has fired now. */
  stop: { monitor: string; reason: StateReason } | null;
  /** Set where a monitor that reverts draws has fired now. */
  revert: { monitor: string; sentence: string } | null;
};

const logTail = 65_536;

/** Stores a report once; false where this sequence, or a later one, was stored before. */
export async function insertReport(
  orm: Orm,
  report: StoredReport,
  { mismatch, news }: { mismatch: AuditEntry | null; news: MonitorNews | null },
): Promise<boolean> {
  const { key, at, caseLosses, ledger, environment, plan } = report;
  // Most reports are numbers alone: one statement, one round trip.
  const more = [caseLosses.length > 0, ledger.length > 0, environment, plan, mismatch, news];
  if (!more.some(Boolean)) return await takeReport(orm, report);
  return await orm.transaction(async (tx) => {
    if (!(await takeReport(tx, report))) return false;
    await insertCaseLosses(tx, report);
    await insertLedgerRows(tx, report.ledger);
    await storeStart(tx, report);
    if (mismatch !== null) {
      const { detail } = mismatch;
      await insertEvent(tx, { jobId: key.jobId, at, kind: 'drawMismatch', detail });
      await appendAudit(tx, mismatch);
    }
    if (news !== null) await storeNews(tx, report, news);
    return true;
  });
}

/** Sequence, log, progress and metrics; false where the sequence was stored before. */
async function takeReport(orm: Orm, report: StoredReport): Promise<boolean> {
  const { key, at, sequence, log, metrics } = report;
  const progress = report.progress === null ? null : JSON.stringify(report.progress);
  const counts = metrics.length > 0 || progress !== null;
  const chunks = JSON.stringify(metricChunks(metrics));
  const taken = await rows(
    orm,
    sql`with taken as (
        update job_attempts set last_sequence = ${sequence}::int,
          last_contact_at = ${at.toISOString()}::timestamptz,
          log = case when ${log} = '' then log else right(log || ${log}, ${logTail}::int) end
        where job_id = ${key.jobId} and attempt = ${key.attempt}::int
          and last_sequence < ${sequence}::int and revoked_at is null
        returning job_id, attempt
      ), counted as (
        update jobs set metric_count = metric_count + ${metrics.length}::bigint,
          progress = coalesce(${progress}::jsonb, progress)
        from taken where jobs.id = taken.job_id and ${counts}::boolean
        returning jobs.id, taken.attempt, metric_count - ${metrics.length}::bigint as before
      ), stored as (
        insert into metric_chunks (job_id, first_sequence, last_sequence, attempt, name, group_name,
          class_name, points, places, steps, "values", epochs)
        select counted.id, before + "first", before + "last", attempt, name, "group", "class",
          points, places, steps, "values", epochs
        from counted, jsonb_to_recordset(${chunks}::jsonb) as chunk ("first" int, "last" int,
          name text, "group" text, "class" text, points int, places int[], steps bigint[],
          "values" float8[], epochs int[])
      )
      select job_id from taken`,
  );
  return taken.length > 0;
}

async function storeNews(
  tx: Orm,
  { key: { jobId }, at }: StoredReport,
  { states, findings, stop, revert }: MonitorNews,
): Promise<void> {
  await tx.update(jobs).set({ monitorStates: states }).where(eq(jobs.id, jobId));
  for (const { detail, entry } of findings) {
    await insertEvent(tx, { jobId, at, kind: 'monitorFired', detail });
    await appendAudit(tx, entry);
  }
  if (revert !== null) await askForRevert(tx, { jobId, at, revert });
  if (stop === null) return;
  const moved = await tx
    .update(jobs)
    .set({ stopReason: stop.reason })
    .where(and(eq(jobs.id, jobId), isNull(jobs.stopReason)))
    .returning({ id: jobs.id });
  if (moved.length === 0) return;
  const detail = { monitor: stop.monitor, reason: stop.reason };
  await insertEvent(tx, { jobId, at, kind: 'stopRequested', detail });
}

/** What the attempt computes on and what it planned: events that readers of the history ask for. */
async function storeStart(tx: Orm, report: StoredReport): Promise<void> {
  const { key, at, environment, plan } = report;
  const { jobId, attempt } = key;
  if (environment !== null) {
    await tx.update(jobAttempts).set({ environment }).where(attemptIs(key));
    const detail = { attempt, ...environment };
    await insertEvent(tx, { jobId, at, kind: 'trainerStarted', detail });
  }
  if (plan !== null) {
    await tx.update(jobAttempts).set({ plan }).where(attemptIs(key));
    await insertEvent(tx, { jobId, at, kind: 'trainingPlanned', detail: { attempt, ...plan } });
  }
}

// A request that nobody has taken up yet stands: it asks for the same.
async function askForRevert(
  tx: Orm,
  { jobId, at, revert }: { jobId: string; at: Date; revert: NonNullable<MonitorNews['revert']> },
): Promise<void> {
  const moved = await tx
    .update(jobs)
    .set({ revertRequested: { ...revert, at: at.toISOString() } })
    .where(and(eq(jobs.id, jobId), isNull(jobs.revertRequested)))
    .returning({ id: jobs.id });
  if (moved.length > 0)
    await insertEvent(tx, { jobId, at, kind: 'revertRequested', detail: revert });
}

/** Stores the trainer's final report once; false where one is stored or the attempt is over. */
export async function insertFinish(
  orm: Orm,
  {
    key,
    at,
    finish,
    summary,
    artifacts,
  }: {
    key: AttemptKey;
    at: Date;
    finish: { outcome: 'succeeded' | 'failed'; error?: string };
    summary: Record<string, unknown>;
    artifacts: Record<string, unknown>[];
  },
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const stored = await tx
      .update(jobAttempts)
      .set({ finish, lastContactAt: at, state: 'finishing' })
      .where(and(attemptIs(key), isNull(jobAttempts.finish), isNull(jobAttempts.endedAt)))
      .returning({ jobId: jobAttempts.jobId });
    if (stored.length === 0) return false;
    await tx.update(jobs).set({ summary, artifacts }).where(eq(jobs.id, key.jobId));
    await tx
      .update(jobs)
      .set({ state: 'finishing' })
      .where(and(eq(jobs.id, key.jobId), isNull(jobs.cancelRequestedAt)));
    await insertEvent(tx, { jobId: key.jobId, at, kind: 'finished', detail: { ...finish } });
    return true;
  });
}
