// Reading a snapshot: its facts, its cases as a stream, the numbers that draws are made from.

import type { Snapshot, SnapshotChunk } from '../../contract/snapshots.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import {
  findSnapshot,
  findSnapshotById,
  listSnapshotChunks,
  listSnapshots,
  type SnapshotRow,
} from '../../store/snapshots.ts';
import { requireDataset } from '../datasets.ts';
import { type AliasUse, findAliased } from './aliased.ts';

/**
 * The stored row of an id, a digest or `dataset@alias:fold` in the actor's workspace; throws
 * `not-found`.
 */
export async function requireSnapshot(deps: Deps, actor: Actor, key: string): Promise<SnapshotRow> {
  return (await requireNamedSnapshot(deps, actor, key)).row;
}

/** The same, with the alias that the key named; null where it named none. */
export async function requireNamedSnapshot(
  deps: Deps,
  actor: Actor,
  key: string,
): Promise<{ row: SnapshotRow; alias: AliasUse | null }> {
  const aliased = await findAliased(deps, actor, key);
  const found = { workspaceId: actor.workspaceId, key: aliased?.snapshotId ?? key };
  const row = await findSnapshot(deps.database.orm, found);
  if (row === undefined) {
    throw new ProblemError(
      'not-found',
      `There is no snapshot "${key}" in this workspace. Name one by id, by digest (sha256:...) or as dataset@alias:fold.`,
    );
  }
  return { row, alias: aliased?.alias ?? null };
}

export async function snapshotView(deps: Deps, row: SnapshotRow): Promise<Snapshot> {
  const orm = deps.database.orm;
  const ruleSet = await findRuleSetById(orm, { datasetId: row.datasetId, id: row.ruleSetId });
  const parent = row.parentId === null ? undefined : await findSnapshotById(orm, row.parentId);
  return {
    id: row.id,
    digest: row.digest,
    scoresDigest: row.scoresDigest,
    dataset: row.header.dataset,
    version: row.version,
    ruleSet: `${ruleSet?.name}@${ruleSet?.version}`,
    header: row.header,
    diagnostics: row.diagnostics,
    excluded: row.excluded,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    reason: row.reason,
    parent: parent?.digest ?? null,
    validationInformed: row.header.cause === 'revert',
    batch: row.batchId,
  };
}

export async function getSnapshot(deps: Deps, actor: Actor, key: string): Promise<Snapshot> {
  return await snapshotView(deps, await requireSnapshot(deps, actor, key));
}

export async function pageOfSnapshots(
  deps: Deps,
  actor: Actor,
  { dataset, batch, ...page }: { dataset: string; batch?: string; after?: string; limit: number },
): Promise<Snapshot[]> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  const found = await listSnapshots(deps.database.orm, { datasetId, batchId: batch, ...page });
  return await Promise.all(found.map((row) => snapshotView(deps, row)));
}

/** Every case of a snapshot in digest order, read a chunk at a time. */
export function snapshotChunks(deps: Deps, snapshotId: string): AsyncGenerator<SnapshotChunk> {
  return listSnapshotChunks(deps.database.orm, snapshotId);
}

export type DrawTable = { digest: string; ids: string[]; drawUnits: Float64Array };

/** What a plan of draws is made from: ids in digest order and their draw units. */
export async function drawTable(deps: Deps, snapshotId: string): Promise<DrawTable> {
  const row = await requireById(deps, snapshotId);
  const ids: string[] = [];
  const drawUnits = new Float64Array(row.header.caseCount);
  for await (const chunk of listSnapshotChunks(deps.database.orm, row.id)) {
    drawUnits.set(chunk.drawUnits, ids.length);
    for (const id of chunk.ids) ids.push(id);
  }
  return { digest: row.digest, ids, drawUnits };
}

async function requireById(deps: Deps, snapshotId: string): Promise<SnapshotRow> {
  const row = await findSnapshotById(deps.database.orm, snapshotId);
  if (row === undefined) throw new ProblemError('not-found', 'The snapshot is not stored.');
  return row;
}
