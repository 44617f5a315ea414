// Draws that change during a run (METHOD.md section 8). Decided once the last draws of an epoch are
// there and before the next one begins; what was decided is answered again whenever it is asked.

import type { RuleDocument } from '../../contract/rule-sets.ts';
import type { Report, ReportAnswer } from '../../contract/trainer.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { insertNoSwitch, insertSwitch } from '../../store/children.ts';
import { lastEpochs, listEpochRanges } from '../../store/draw-ledger.ts';
import { findJob, type JobRow } from '../../store/jobs.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import { findSnapshotById, type SnapshotRow } from '../../store/snapshots.ts';
import { ledgerEpochs } from '../jobs/ledger.ts';
import { prepareChild } from '../snapshots/freeze-child.ts';
import { launchedSnapshot, type TrainerSession } from './session.ts';
import { type DrawnBy, stagesOf } from './stages.ts';
import { adaptiveStep, openingStep, type Plan, rampStep, revertStep } from './switch-steps.ts';

/** What the answer to a report says of the next epoch's snapshot; undefined where it stays. */
export async function switchAfter(
  deps: Deps,
  session: TrainerSession,
  report: Report,
  { mayDecide }: { mayDecide: boolean },
): Promise<ReportAnswer['snapshot']> {
  const { job, attempt } = session;
  const { last, furthest } = await lastEpochs(deps.database.orm, attempt);
  if (last === null || last.until < job.settings.drawsPerEpoch) return undefined;
  const next = last.epoch + 1;
  if (next >= job.settings.epochs) return undefined;
  const stages = await stagesOf(deps, session);
  const known = switchAt(stages, next);
  if (known !== undefined) return known;
  // An epoch that has begun, in this attempt or an earlier one, keeps the snapshot it began with.
  const begun = furthest > last.epoch || stages.some(({ fromEpoch }) => fromEpoch > next);
  if (!mayDecide || begun || !isOfEpoch(job, report, last.epoch)) return undefined;
  if (!(await isVerified(deps, job, last.epoch))) return undefined;
  await decide(deps, session, { stages, next });
  // Also where the same report, sent twice at once, was quicker.
  return switchAt(await stagesOf(deps, session), next);
}

function switchAt(stages: DrawnBy[], epoch: number): ReportAnswer['snapshot'] {
  const found = stages.find(({ fromEpoch }) => fromEpoch === epoch);
  return found === undefined ? undefined : { digest: found.digest, fromEpoch: epoch };
}

// Whether a report was sent before the epoch after this one: it says something of this epoch, and
// nothing of a later one. A heartbeat alone does not say where the trainer is.
function isOfEpoch(
  { settings }: JobRow,
  { ledger = [], metrics, progress }: Report,
  epoch: number,
) {
  const said = [...ledger, ...metrics].map((one) => one.epoch ?? 0);
  const steps = ((epoch + 1) * settings.drawsPerEpoch) / settings.batchSize;
  return said.includes(epoch) && Math.max(...said) === epoch && (progress?.step ?? 0) <= steps;
}

async function isVerified(deps: Deps, { id, settings }: JobRow, epoch: number): Promise<boolean> {
  const ranges = await listEpochRanges(deps.database.orm, { jobId: id, epoch });
  return ledgerEpochs(ranges, settings.drawsPerEpoch)[0]?.state === 'verified';
}

/** The first stage of a ramp, before epoch 0; nothing where there is none or it stands. */
export async function openRamp(deps: Deps, session: TrainerSession): Promise<void> {
  const { job, attempt } = session;
  const snapshot = await launchedSnapshot(deps, session);
  const rules = await rulesOf(deps, snapshot);
  if (rules.schedule === null) return;
  const { furthest } = await lastEpochs(deps.database.orm, attempt);
  const [first, ...others] = await stagesOf(deps, session);
  if (furthest >= 0 || others.length > 0 || first.snapshotId !== job.snapshotId) return;
  const plan = openingStep(rules.schedule, snapshot);
  await carryOut(deps, session, { plan, from: first, next: 0 });
}

async function rulesOf(deps: Deps, { datasetId, ruleSetId }: SnapshotRow): Promise<RuleDocument> {
  const ruleSet = await findRuleSetById(deps.database.orm, { datasetId, id: ruleSetId });
  if (ruleSet === undefined) throw new ProblemError('internal', 'The job has lost its rule set.');
  return ruleSet.rules;
}

/** A wish to revert comes before a stage of the ramp, and that before evidence. */
async function decide(
  deps: Deps,
  session: TrainerSession,
  { stages, next }: { stages: DrawnBy[]; next: number },
): Promise<void> {
  const { workspaceId, id } = session.job;
  const job = (await findJob(deps.database.orm, { workspaceId, id })) as JobRow;
  const from = stages[stages.length - 1];
  const current = (await findSnapshotById(deps.database.orm, from.snapshotId)) as SnapshotRow;
  const given = { job, current, stages, next, rules: await rulesOf(deps, current) };
  const reverted = stages.some(({ cause }) => cause === 'revert');
  const plan =
    job.revertRequested !== null
      ? await revertStep(deps, given)
      : reverted
        ? null
        : ((await rampStep(deps, given)) ?? (await adaptiveStep(deps, given)));
  if (plan !== null) await carryOut(deps, session, { plan, from, next });
}

async function carryOut(
  deps: Deps,
  { job }: TrainerSession,
  { plan, from, next }: { plan: Plan; from: DrawnBy; next: number },
): Promise<void> {
  const { orm } = deps.database;
  const { reason, cause } = plan;
  const by = `trainer of job ${job.id}`;
  const answered = cause === 'revert';
  const keep = async (kept: string) => {
    const detail = { snapshot: from.digest, epoch: next, cause, reason, kept };
    if (next > 0) await insertNoSwitch(orm, { jobId: job.id, at: deps.now(), detail, answered });
  };
  if ('kept' in plan) return await keep(plan.kept);
  const { parent, origin } = plan;
  const child = await prepareChild(deps, {
    parent,
    cause,
    origin,
    jobId: job.id,
    by,
    reason,
  }).catch((fault: unknown) => {
    // What is wrong with the rules under this evidence must not end the run.
    if (!(fault instanceof ProblemError) || fault.kind !== 'unprocessable') throw fault;
    return { kept: fault.detail };
  });
  if ('kept' in child) return await keep(child.kept);
  const at = deps.now();
  const entry = {
    workspaceId: job.workspaceId,
    at,
    actor: by,
    action: 'job.snapshot-switched',
    subject: `job/${job.id}`,
    reason,
    detail: {},
  };
  const detail = { from: from.digest, because: reason };
  await insertSwitch(orm, { jobId: job.id, at, fromEpoch: next, child, detail, entry });
}
