// Reports and the final report. Draws are checked against the replayed plan as they arrive; a
// mismatch is an event and an audit entry, never silent.

import type { CaseLoss, Finish, Report, ReportAnswer } from '../../contract/trainer.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { AuditEntry } from '../../store/audit.ts';
import type { LedgerRow } from '../../store/draw-ledger.ts';
import { insertFinish, insertReport } from '../../store/reports.ts';
import { ledgerDigest } from '../../weights/ledger.ts';
import { monitorNews } from './monitors.ts';
import { plannedIds } from './plans.ts';
import { noteContact, requireLive, requireStillLive, type TrainerSession } from './session.ts';
import { stageOfEpoch, stagesOf } from './stages.ts';
import { switchAfter } from './switches.ts';

/**
 * Stores a report once. The answer says whether to stop, and what the next epoch is drawn by where
 * that changes.
 */
export async function acceptReport(
  deps: Deps,
  session: TrainerSession,
  report: Report,
): Promise<ReportAnswer> {
  const { job, attempt } = session;
  const stop = job.cancelRequestedAt !== null || job.stopReason !== null;
  if (report.sequence <= attempt.lastSequence) {
    const snapshot = await switchAfter(deps, session, report, { mayDecide: !stop });
    return { accepted: true, stop, ...(snapshot === undefined ? {} : { snapshot }) };
  }
  await noteContact(deps, session);
  const at = deps.now();
  const ledger = await checkedLedger(deps, session, report, at);
  const stored = {
    key: { jobId: job.id, attempt: attempt.attempt },
    at,
    sequence: report.sequence,
    metrics: report.metrics,
    caseLosses: placedLosses(report),
    ledger,
    log: report.log ?? '',
    progress: report.progress ?? null,
    environment: report.environment ?? null,
    plan: report.plan ?? null,
  };
  const mismatch = mismatchEntry(session, ledger, at);
  const news = await monitorNews(deps, session, { metrics: report.metrics, ledger, at });
  if (!(await insertReport(deps.database.orm, stored, { mismatch, news }))) {
    await requireStillLive(deps, session);
  }
  const stops = stop || (news !== null && news.stop !== null);
  const snapshot = await switchAfter(deps, session, report, { mayDecide: !stops });
  return { accepted: true, stop: stops, ...(snapshot === undefined ? {} : { snapshot }) };
}

// Where in the plan the losses were seen: as they say, or in the last range beside them.
function placedLosses({ caseLosses = [], ledger = [] }: Report): CaseLoss[] {
  const last = ledger.at(-1);
  if (last === undefined) return caseLosses;
  const { epoch, from } = last;
  return caseLosses.map((one) => (one.epoch === undefined ? { ...one, epoch, from } : one));
}

async function checkedLedger(
  deps: Deps,
  session: TrainerSession,
  report: Report,
  at: Date,
): Promise<LedgerRow[]> {
  const { job, attempt } = session;
  const { drawsPerEpoch, epochs } = job.settings;
  const rows: LedgerRow[] = [];
  if ((report.ledger ?? []).length === 0) return rows;
  const stages = await stagesOf(deps, session);
  for (const [k, range] of (report.ledger ?? []).entries()) {
    const { epoch, from, draws, digest } = range;
    if (epoch >= epochs || from + draws > drawsPerEpoch) {
      const detail = `draws ${from} to ${from + draws - 1} of epoch ${epoch} are not of this job, which has ${epochs} epochs of ${drawsPerEpoch} draws`;
      throw new ProblemError('unprocessable', detail, {
        errors: [{ pointer: `/ledger/${k}`, detail }],
      });
    }
    const drawnBy = stageOfEpoch(stages, epoch);
    const key = { snapshotId: drawnBy.snapshotId, seed: job.seed, epoch, drawsPerEpoch };
    const planned = await plannedIds(deps, key, { from, draws });
    const matches = range.snapshot === drawnBy.digest && ledgerDigest(planned) === digest;
    rows.push({
      jobId: job.id,
      attempt: attempt.attempt,
      at,
      epoch,
      snapshotDigest: range.snapshot,
      fromDraw: from,
      draws,
      digest,
      matches,
    });
  }
  return rows;
}

/** A trainer with another plan may send thousands of wrong ranges; the ledger keeps them all. */
const shownRanges = 20;

function mismatchEntry(
  { job, attempt }: TrainerSession,
  ledger: LedgerRow[],
  at: Date,
): AuditEntry | null {
  const wrong = ledger.filter((row) => !row.matches);
  if (wrong.length === 0) return null;
  return {
    workspaceId: job.workspaceId,
    at,
    actor: `trainer of job ${job.id}`,
    action: 'job.draw-mismatch',
    subject: `job/${job.id}`,
    reason: null,
    detail: {
      attempt: attempt.attempt,
      count: wrong.length,
      ranges: wrong
        .slice(0, shownRanges)
        .map(({ epoch, fromDraw, draws, digest, snapshotDigest }) => ({
          epoch,
          from: fromDraw,
          draws,
          digest,
          snapshot: snapshotDigest,
        })),
    },
  };
}

/** Stores the final report. Repeating it is no fault; a revoked attempt without one is refused. */
export async function acceptFinish(
  deps: Deps,
  session: TrainerSession,
  finish: Finish,
): Promise<{ accepted: true }> {
  const { job, attempt } = session;
  if (attempt.finish !== null) return { accepted: true };
  requireLive(attempt);
  await noteContact(deps, session);
  const { outcome, error, summary, artifacts } = finish;
  const stored = await insertFinish(deps.database.orm, {
    key: { jobId: job.id, attempt: attempt.attempt },
    at: deps.now(),
    finish: { outcome, ...(error === undefined ? {} : { error }) },
    summary: (summary ?? {}) as Record<string, unknown>,
    artifacts: artifacts ?? [],
  });
  if (!stored) await requireStillLive(deps, session);
  return { accepted: true };
}
