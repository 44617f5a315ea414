// A snapshot by an alias: dataset@alias:fold, or dataset@alias where the alias holds one fold.

import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findAlias } from '../../store/aliases.ts';
import { findDataset } from '../../store/datasets.ts';

/** The alias that a snapshot was named by, and the number of the move that put it there. */
export type AliasUse = { name: string; number: number };

const written = /^([^@]+)@([^@:]+)(?::([^@:]+))?$/;

/** The parts of `dataset@alias:fold`; null where the key is no such name. */
export function aliasedParts(
  key: string,
): { dataset: string; alias: string; fold: string | undefined } | null {
  const parts = written.exec(key);
  return parts === null ? null : { dataset: parts[1], alias: parts[2], fold: parts[3] };
}

/**
 * The snapshot id that `dataset@alias:fold` stands for now; null where the key is no such name.
 * Throws `not-found` for an unknown dataset, alias or fold, `unprocessable` where the fold is left
 * out and the alias holds several.
 */
export async function findAliased(
  deps: Deps,
  actor: Actor,
  key: string,
): Promise<{ snapshotId: string; alias: AliasUse } | null> {
  const parts = aliasedParts(key);
  if (parts === null) return null;
  const { dataset: datasetKey, alias: name, fold } = parts;
  const owner = { workspaceId: actor.workspaceId, key: datasetKey };
  const dataset = await findDataset(deps.database.orm, owner);
  if (dataset === undefined) {
    throw new ProblemError(
      'not-found',
      `There is no snapshot "${key}": this workspace has no dataset "${datasetKey}".`,
    );
  }
  const move = await findAlias(deps.database.orm, { datasetId: dataset.id, name });
  if (move === undefined) {
    throw new ProblemError(
      'not-found',
      `There is no snapshot "${key}": dataset "${dataset.name}" has no alias "${name}".`,
    );
  }
  const folds = Object.keys(move.snapshots);
  const alias = { name, number: move.number };
  if (fold === undefined) {
    if (folds.length === 1) return { snapshotId: move.snapshots[folds[0]], alias };
    throw new ProblemError(
      'unprocessable',
      `Alias "${name}" holds the folds ${folds.join(', ')}: name one, as ${key}:${folds[0]}.`,
    );
  }
  if (!Object.hasOwn(move.snapshots, fold)) {
    throw new ProblemError(
      'not-found',
      `There is no snapshot "${key}": alias "${name}" holds no fold ${fold}, only ${folds.join(', ')}.`,
    );
  }
  return { snapshotId: move.snapshots[fold], alias };
}
