// Which snapshot each epoch of a job is drawn by: the one it was launched with, until it switches.

import type { Deps } from '../../deps.ts';
import { listStages, type Stage } from '../../store/children.ts';
import type { SnapshotRow } from '../../store/snapshots.ts';
import { launchedSnapshot, type TrainerSession } from './session.ts';

export type DrawnBy = Pick<Stage, 'snapshotId' | 'digest' | 'fromEpoch' | 'cause'>;

/** Every snapshot that a job draws by, in the order of epochs; the first is from epoch 0. */
export async function stagesOf(deps: Deps, session: TrainerSession): Promise<DrawnBy[]> {
  const switches = await listStages(deps.database.orm, [session.job.id]);
  return withFirst(switches, await launchedSnapshot(deps, session));
}

/** Switches of a job, with what it was launched with before the first of them. */
export function withFirst(
  switches: Stage[],
  { id, digest, header }: Pick<SnapshotRow, 'id' | 'digest' | 'header'>,
): DrawnBy[] {
  if (switches[0]?.fromEpoch === 0) return switches;
  return [{ snapshotId: id, digest, fromEpoch: 0, cause: header.cause }, ...switches];
}

/** What an epoch is drawn by. */
export function stageOfEpoch(stages: DrawnBy[], epoch: number): DrawnBy {
  return stages.findLast(({ fromEpoch }) => fromEpoch <= epoch) ?? stages[0];
}
