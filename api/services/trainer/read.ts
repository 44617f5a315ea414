// What a trainer reads: its job, its snapshot, its cases.

import type { SnapshotChunk } from '../../contract/snapshots.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findSnapshotOfJob } from '../../store/children.ts';
import { findDataset } from '../../store/datasets.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import { findSnapshot, type SnapshotRow } from '../../store/snapshots.ts';
import { casesOfSide } from '../../store/splits.ts';
import { findWithdrawnUntil } from '../../store/withdrawals.ts';
import { groupValue } from '../../weights/diagnostics.ts';
import { snapshotChunks } from '../snapshots/read.ts';
import { decilesOf } from './score-deciles.ts';
import { launchedSnapshot, noteContact, type TrainerSession } from './session.ts';
import { stagesOf } from './stages.ts';
import { openRamp } from './switches.ts';

/** Everything a trainer must know of its job. */
export async function readTrainerJob(deps: Deps, session: TrainerSession) {
  await noteContact(deps, session);
  const { job, attempt } = session;
  const { labels, channels } = await datasetOf(deps, session);
  await openRamp(deps, session);
  const stages = await stagesOf(deps, session);
  const first = await snapshotOf(deps, session, stages[0].digest);
  return {
    id: job.id,
    attempt: attempt.attempt,
    seed: job.seed,
    settings: job.settings,
    monitors: job.monitors,
    snapshot: { digest: first.digest, header: first.header },
    snapshots: stages.map(({ digest, fromEpoch }) => ({ digest, fromEpoch })),
    labels: labels ?? {},
    channels: channels ?? {},
    groups: await groupsOf(deps, await launchedSnapshot(deps, session)),
    nextSequence: attempt.lastSequence + 1,
  };
}

async function datasetOf(deps: Deps, { job }: TrainerSession) {
  const key = { workspaceId: job.workspaceId, key: job.datasetId };
  const dataset = await findDataset(deps.database.orm, key);
  if (dataset === undefined) throw new ProblemError('internal', 'The job has lost its dataset.');
  return dataset;
}

async function groupsOf(deps: Deps, { datasetId, ruleSetId }: SnapshotRow): Promise<string[]> {
  const ruleSet = await findRuleSetById(deps.database.orm, { datasetId, id: ruleSetId });
  return ruleSet?.rules.groups ?? [];
}

/** A snapshot to draw by: the one of a digest, or what epoch 0 is drawn by. */
export async function readTrainerSnapshot(
  deps: Deps,
  session: TrainerSession,
  digest: string | undefined,
): Promise<{ snapshot: SnapshotRow; chunks: AsyncGenerator<SnapshotChunk> }> {
  const wanted = digest ?? (await stagesOf(deps, session))[0].digest;
  const row = await snapshotOf(deps, session, wanted);
  return { snapshot: row, chunks: snapshotChunks(deps, row.id) };
}

async function snapshotOf(
  deps: Deps,
  session: TrainerSession,
  digest: string,
): Promise<SnapshotRow> {
  const { job } = session;
  const launched = await launchedSnapshot(deps, session);
  if (digest === launched.digest) return launched;
  const { orm } = deps.database;
  const row =
    (await findSnapshotOfJob(orm, { jobId: job.id, digest })) ??
    (await findSnapshot(orm, { workspaceId: job.workspaceId, key: digest }));
  if (row !== undefined && row.datasetId === job.datasetId) return row;
  throw new ProblemError('not-found', `This job has no snapshot ${digest}.`);
}

/**
 * Both sides of the fold: the snapshot's cases to train on, the validation cases to judge by. Those
 * are without what was withdrawn before the attempt; what it trains on is the snapshot's to say.
 */
export async function* readTrainerCases(deps: Deps, session: TrainerSession) {
  const { attempt } = session;
  const snapshot = await launchedSnapshot(deps, session);
  const { datasetId, version, split, header } = snapshot;
  const groups = await groupsOf(deps, snapshot);
  const left = {
    train: new Set(snapshot.excluded.map(({ id }) => id)),
    val: await findWithdrawnUntil(deps.database.orm, { datasetId, at: attempt.createdAt }),
  };
  const decileOf = await decilesOf(deps, session);
  for (const side of ['train', 'val'] as const) {
    const key = { datasetId, version, split, fold: header.fold, side };
    for await (const page of casesOfSide(deps.database.orm, key)) {
      for (const { caseId, ordinal, attributes, files } of page) {
        if (left[side].has(caseId)) continue;
        const values = groups.map((name) => [name, groupValue(attributes[name])]);
        const scoreDecile = decileOf(ordinal);
        yield { id: caseId, side, groups: Object.fromEntries(values), scoreDecile, files };
      }
    }
  }
}
