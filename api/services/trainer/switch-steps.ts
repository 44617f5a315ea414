// What a job's next epoch should be drawn by, and why: a stage of a ramp, an adaptive child, or the
// draws before (METHOD.md section 8). Each answers null where nothing is due.

import type { RuleDocument } from '../../contract/rule-sets.ts';
import type { Deps } from '../../deps.ts';
import { meanCaseLosses } from '../../store/case-losses.ts';
import { findOrigin, type Origin } from '../../store/children.ts';
import type { JobRow } from '../../store/jobs.ts';
import { findSnapshotById, type SnapshotRow } from '../../store/snapshots.ts';
import { evidenceColumn, foldedEvidence } from '../../weights/case-evidence.ts';
import { rampShare } from '../../weights/children.ts';
import { drawTable } from '../snapshots/read.ts';
import type { ChildCause } from '../snapshots/recompute.ts';
import type { DrawnBy } from './stages.ts';

/** A child to freeze, or why what was due is not done. */
export type Plan = { cause: ChildCause; reason: string } & (
  | { parent: SnapshotRow; origin: Origin }
  | { kept: string }
);

export type Due = {
  job: JobRow;
  rules: RuleDocument;
  /** What the job draws by until now. */
  current: SnapshotRow;
  stages: DrawnBy[];
  /** The epoch that is about to begin. */
  next: number;
};

const nothing: Origin = { share: null, evidence: null, sourceId: null };
type Ramp = NonNullable<RuleDocument['schedule']>;

/** The stage that a ramp begins with. */
export function openingStep(schedule: Ramp, root: SnapshotRow): Plan {
  return rampPlan(schedule, { parent: root, next: 0 });
}

function rampPlan(
  schedule: Ramp,
  { parent, next }: { parent: SnapshotRow; next: number },
): Plan & { origin: Origin } {
  const share = rampShare(schedule, next);
  const reason = `a ramp over ${schedule.epochs} epochs in ${schedule.stages} stages stands at ${share.toPrecision(3)} in epoch ${next}`;
  return { cause: 'ramp', reason, parent, origin: { ...nothing, share } };
}

/** The next stage of a ramp that has begun. */
export async function rampStep(
  deps: Deps,
  { rules: { schedule }, current, next }: Due,
): Promise<Plan | null> {
  if (schedule === null || current.header.cause !== 'ramp') return null;
  const before = await findOrigin(deps.database.orm, current.id);
  const plan = rampPlan(schedule, { parent: current, next });
  return plan.origin.share === before?.share ? null : plan;
}

/** A child by the losses that the run reported since the last one, where it is due. */
export async function adaptiveStep(
  deps: Deps,
  { job, rules: { schedule, adaptive }, current, stages, next }: Due,
): Promise<Plan | null> {
  if (adaptive === null) return null;
  const { everyEpochs, momentum, minEvidence } = adaptive;
  const since = next - (schedule?.epochs ?? 0);
  if (since <= 0 || since % everyEpochs !== 0) return null;
  const { orm } = deps.database;
  const last = stages.findLast(({ cause }) => cause === 'adaptive');
  const before = last === undefined ? undefined : await findOrigin(orm, last.snapshotId);
  const epochs = { from: last?.fromEpoch ?? 0, to: next - 1 };
  const reported = await meanCaseLosses(orm, { jobId: job.id, ...epochs });
  const { ids } = await drawTable(deps, current.id);
  const evidence = foldedEvidence(before?.evidence ?? null, { ids, reported, momentum });
  const reason = `losses that job ${job.id} reported of its cases in epochs ${epochs.from} to ${epochs.to}`;
  const cause = 'adaptive';
  if (evidenceColumn(evidence, minEvidence) === null) {
    return { cause, reason, kept: `no case was seen in ${minEvidence} draws yet` };
  }
  return { cause, reason, parent: current, origin: { ...nothing, evidence } };
}

/** The draws before the current ones, because a monitor asked for them. */
export async function revertStep(deps: Deps, { job, current }: Due): Promise<Plan> {
  const { monitor, sentence } = job.revertRequested as NonNullable<JobRow['revertRequested']>;
  const reason = `monitor ${monitor} asked for the draws before: ${sentence}`;
  const source = await beforeThat(deps, current);
  const cause = 'revert';
  if (source === null) return { cause, reason, kept: 'there are no draws before these' };
  return { cause, reason, parent: current, origin: { ...nothing, sourceId: source.id } };
}

// A revert of a revert goes one further back, not forth again. Before the first stage of a ramp
// stands only what the ramp leads up to, which is no way back.
async function beforeThat(deps: Deps, current: SnapshotRow): Promise<SnapshotRow | null> {
  const { orm } = deps.database;
  let drawn: SnapshotRow = current;
  while (drawn.header.cause === 'revert') {
    const { sourceId } = (await findOrigin(orm, drawn.id)) as Origin;
    drawn = (await findSnapshotById(orm, sourceId as string)) as SnapshotRow;
  }
  if (drawn.parentId === null) return null;
  const parent = (await findSnapshotById(orm, drawn.parentId)) as SnapshotRow;
  return drawn.header.cause === 'ramp' && parent.header.cause === 'rules' ? null : parent;
}
