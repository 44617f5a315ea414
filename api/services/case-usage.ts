// Which snapshots hold a case, which jobs saw it, and how often: counted by replaying the plans of
// verified epochs, with a bound on the work of one answer.

import { type CaseDraws, type CaseUsage, usageLimit } from '../contract/case-usage.ts';
import type { Actor, Deps } from '../deps.ts';
import {
  type JobWith,
  listJobsWith,
  listSnapshotsWith,
  listVersionsWith,
  type SnapshotWith,
} from '../store/case-usage.ts';
import { listStages } from '../store/children.ts';
import { listVerifiedEpochs, type VerifiedEpochs } from '../store/draw-ledger.ts';
import { findDrawUnits } from '../store/snapshots.ts';
import { findWithdrawal } from '../store/withdrawals.ts';
import { caseDraws, drawBounds } from '../weights/case-draws.ts';
import { wholeUnits } from '../weights/units.ts';
import { requireDataset } from './datasets.ts';
import { requireKnownCase, withdrawalView } from './withdrawals.ts';

/** Cases and draws that are planned for one answer: about a second and a half. */
const workOfAnswer = 10_000_000;
/** Counts that are kept per deployment: asked again, an answer goes on where it stopped. */
const keptCounts = 100_000;
const countsOf = new WeakMap<object, Map<string, number>>();

/**
 * Everything that used a case. At most `work` cases and draws are planned; what that leaves open is
 * bounded, not guessed. Throws `not-found` for a case that the dataset never had.
 */
export async function caseUsage(
  deps: Deps,
  actor: Actor,
  {
    dataset: key,
    caseId,
    job,
    work = workOfAnswer,
  }: { dataset: string; caseId: string; job?: string; work?: number },
): Promise<CaseUsage> {
  const dataset = await requireDataset(deps, actor, key);
  const ordinal = await requireKnownCase(deps, { dataset, caseId });
  const orm = deps.database.orm;
  const named = { datasetId: dataset.id, caseId, ordinal, limit: usageLimit };
  const withdrawn = await findWithdrawal(orm, named);
  const snapshots = await listSnapshotsWith(orm, named);
  const jobs = await listJobsWith(orm, { ...named, jobId: job });
  const drawn = await drawsOfJobs(deps, jobs, { left: work });
  return {
    caseId,
    withdrawn: withdrawn === undefined ? null : withdrawalView(withdrawn),
    versions: await listVersionsWith(orm, named),
    snapshots: snapshots.map(snapshotView),
    snapshotsTotal: snapshots[0]?.total ?? 0,
    jobs: jobs.map(({ id, state, digest, place }) => ({
      id,
      state,
      snapshot: digest,
      side: place === null ? 'val' : 'train',
      drawn: drawn.get(id) ?? null,
    })),
    jobsTotal: jobs[0]?.total ?? 0,
    models: jobs.filter(({ state }) => state === 'succeeded').map(({ id }) => id),
  };
}

function snapshotView({ drawUnits, createdAt, total: _, ...row }: SnapshotWith) {
  return {
    ...row,
    side: drawUnits === null ? ('excluded' as const) : ('train' as const),
    drawProbability: (drawUnits ?? 0) / wholeUnits,
    createdAt: createdAt.toISOString(),
  };
}

type Stages = { fromEpoch: number; snapshotId: string; digest: string }[];
type Drawing = { job: JobWith; stages: Stages; epochs: VerifiedEpochs; drawn: CaseDraws };

// Snapshot by snapshot, so that the units of one at a time are held; jobs in the order given. A
// child holds the cases of its parent, so that a case has one place in all that a job draws by.
async function drawsOfJobs(
  deps: Deps,
  jobs: JobWith[],
  work: { left: number },
): Promise<Map<string, CaseDraws>> {
  const ids = jobs.filter(({ place }) => place !== null).map(({ id }) => id);
  const epochs = await listVerifiedEpochs(deps.database.orm, ids);
  const switches = await listStages(deps.database.orm, ids);
  const drawing = jobs
    .filter(({ place }) => place !== null)
    .map((job): Drawing => {
      const own = epochs.get(job.id) ?? { verified: [], begun: 0 };
      const later = switches.filter(({ jobId }) => jobId === job.id);
      const { snapshotId, digest } = job;
      const stages = [{ fromEpoch: 0, snapshotId, digest }, ...later];
      return { job, stages, epochs: own, drawn: noDraws(job, own) };
    });
  const snapshotIds = drawing.flatMap(({ stages }) => stages.map((stage) => stage.snapshotId));
  for (const snapshotId of new Set(snapshotIds)) {
    const drawnBy = (epoch: number, { stages }: Drawing) =>
      stageOf(stages, epoch).snapshotId === snapshotId;
    const due = drawing.filter((one) => one.epochs.verified.some((epoch) => drawnBy(epoch, one)));
    if (due.length === 0) continue;
    const drawUnits = await findDrawUnits(deps.database.orm, snapshotId);
    for (const one of due) {
      const verified = one.epochs.verified.filter((epoch) => drawnBy(epoch, one));
      addDraws(deps, one, { verified, drawUnits, work });
    }
  }
  return new Map(drawing.map(({ job, drawn }) => [job.id, drawn]));
}

// The last one that begins at the epoch or before it.
const stageOf = (stages: Stages, epoch: number) =>
  stages.findLast(({ fromEpoch }) => fromEpoch <= epoch) ?? stages[0];

function noDraws(job: JobWith, epochs: VerifiedEpochs): CaseDraws {
  const epochsVerified = epochs.verified.length;
  return {
    count: 0,
    epochsCounted: 0,
    atLeast: 0,
    atMost: 0,
    epochsVerified,
    unverifiedEpochs: epochsBegun(job, epochs) - epochsVerified,
    epochsTotal: job.settings.epochs,
  };
}

// Adds the epochs that one snapshot was drawn by: counted while there is work left, then bounded.
function addDraws(
  deps: Deps,
  { job, stages, drawn }: Drawing,
  {
    verified,
    drawUnits,
    work,
  }: { verified: number[]; drawUnits: Float64Array; work: { left: number } },
): void {
  const { drawsPerEpoch } = job.settings;
  const bounds = drawBounds({ drawUnits: drawUnits[job.place as number], drawsPerEpoch });
  for (const epoch of verified) {
    const { digest } = stageOf(stages, epoch);
    const found = drawsInEpoch(deps, { job: { ...job, digest }, epoch, drawUnits, work });
    drawn.count += found ?? 0;
    drawn.epochsCounted += found === null ? 0 : 1;
    drawn.atLeast += found ?? bounds.atLeast;
    drawn.atMost += found ?? bounds.atMost;
  }
}

/** Null where nothing is kept of the epoch and the work of this answer is used up. */
function drawsInEpoch(
  deps: Deps,
  {
    job,
    epoch,
    drawUnits,
    work,
  }: { job: JobWith; epoch: number; drawUnits: Float64Array; work: { left: number } },
): number | null {
  const counts = countsOf.get(deps.process) ?? new Map<string, number>();
  countsOf.set(deps.process, counts);
  const { digest, seed, place } = job;
  const { drawsPerEpoch } = job.settings;
  const key = `${digest}/${seed}/${drawsPerEpoch}/${place}/${epoch}`;
  const known = counts.get(key);
  if (known !== undefined) return known;
  if (work.left <= 0) return null;
  work.left -= drawUnits.length + drawsPerEpoch;
  const count = caseDraws(place as number, { digest, drawUnits, seed, epoch, drawsPerEpoch });
  counts.set(key, count);
  if (counts.size > keptCounts) counts.delete(counts.keys().next().value as string);
  return count;
}

// What the ledger knows of, what the trainer said of its progress, and all of a job that succeeded.
function epochsBegun({ state, progress, settings }: JobWith, { begun }: VerifiedEpochs): number {
  if (state === 'succeeded') return settings.epochs;
  const { step, steps } = progress ?? { step: 0, steps: 1 };
  return Math.max(begun, Math.ceil((step / steps) * settings.epochs));
}
