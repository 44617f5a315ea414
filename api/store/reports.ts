// What trainers report: one report is one transaction, and its sequence number makes repeating it
// store nothing.

import { and, eq, isNull, lt, sql } from 'drizzle-orm';
import type { StateReason } from '../contract/jobs.ts';
import type { MonitorStates } from '../contract/monitors.ts';
import type { TrainingPlan } from '../contract/plans.ts';
import type { CaseLoss, Metric, TrainerEnvironment } from '../contract/trainer.ts';
import { type AttemptKey, attemptIs } from './attempts.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { insertCaseLosses } from './case-losses.ts';
import type { Orm } from './database.ts';
import { insertLedgerRows, type LedgerRow } from './draw-ledger.ts';
import { insertEvent } from './job-events.ts';
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
  const { key, at, sequence } = report;
  return await orm.transaction(async (tx) => {
    const taken = await tx
      .update(jobAttempts)
      .set({
        lastSequence: sequence,
        lastContactAt: at,
        log: sql`right(${jobAttempts.log} || ${report.log}, ${logTail}::int)`,
      })
      .where(
        and(attemptIs(key), lt(jobAttempts.lastSequence, sequence), isNull(jobAttempts.revokedAt)),
      )
      .returning({ jobId: jobAttempts.jobId });
    if (taken.length === 0) return false;
    await storeMetrics(tx, report);
    await insertCaseLosses(tx, report);
    await insertLedgerRows(tx, report.ledger);
    await storeStart(tx, report);
    if (report.progress !== null) {
      await tx.update(jobs).set({ progress: report.progress }).where(eq(jobs.id, key.jobId));
    }
    if (mismatch !== null) {
      const { detail } = mismatch;
      await insertEvent(tx, { jobId: key.jobId, at, kind: 'drawMismatch', detail });
      await appendAudit(tx, mismatch);
    }
    if (news !== null) await storeNews(tx, report, news);
    return true;
  });
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

async function storeMetrics(tx: Orm, { key, metrics: points }: StoredReport): Promise<void> {
  if (points.length === 0) return;
  await tx.execute(sql`
    insert into metrics (job_id, attempt, name, value, step, epoch, group_name, class_name)
    select ${key.jobId}, ${key.attempt}::int, point.name, point.value, point.step, point.epoch, point."group", point.class
    from jsonb_to_recordset(${JSON.stringify(points)}::jsonb)
      as point (name text, value float8, step bigint, epoch int, "group" text, class text)`);
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
