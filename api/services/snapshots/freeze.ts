// Freezing a snapshot of a fold, or of several at once, and the what-if that stores nothing.

import type {
  Freeze,
  FreezeFolds,
  Snapshot,
  SnapshotBatch,
  WhatIf,
} from '../../contract/snapshots.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import { findSnapshotByInput, insertSnapshots, type SnapshotRow } from '../../store/snapshots.ts';
import { plannedChanges } from '../../weights/planned-changes.ts';
import { requireDataset } from '../datasets.ts';
import { requireRuleSet, requireSoundRules } from '../rule-sets.ts';
import { freezeSources, type PreparedFold, prepareFold } from './prepare.ts';
import { snapshotView } from './read.ts';
import { resolveFold, withdrawnOfFold } from './resolve.ts';

/** Everything that a snapshot of these rules would say; nothing is stored. */
export async function whatIf(
  deps: Deps,
  actor: Actor,
  { dataset: key, ...input }: WhatIf & { dataset: string },
) {
  const dataset = await requireDataset(deps, actor, key);
  const rules =
    input.rules ??
    (await requireRuleSet(deps, { datasetId: dataset.id, key: input.ruleSet as string })).rules;
  if (input.rules !== undefined) requireSoundRules(rules, dataset.attributes, '/rules');
  const withdrawn = await withdrawnOfFold(deps, { dataset, ...input });
  const { resolved } = await resolveFold(deps, { ...input, dataset, rules, withdrawn });
  const { diagnostics, excluded } = resolved;
  const changes = plannedChanges(rules, dataset.attributes);
  const { largest, groups } = diagnostics;
  return { diagnostics, excluded, largest, groups, changes };
}

/**
 * Freezes a snapshot; the same inputs give the stored one (`created` false). Throws
 * `unprocessable` naming fields and cases that do not hold, or when the effective fraction is low.
 */
export async function freezeSnapshot(
  deps: Deps,
  actor: Actor,
  input: Freeze & { dataset: string },
): Promise<{ snapshot: Snapshot; created: boolean }> {
  const sources = await freezeSources(deps, actor, input);
  const prepared = await prepareFold(deps, actor, { sources, input });
  const [{ row, created }] = await storeAll(deps, actor, [prepared]);
  return { snapshot: await snapshotView(deps, row), created };
}

/**
 * Freezes several folds, all or none: every fold is resolved before the first one is stored, and
 * all are stored in one transaction. Answers them in the order asked for; those that the same
 * inputs made before are answered as they are. Throws what `freezeSnapshot` throws, with the fold.
 */
export async function freezeFolds(
  deps: Deps,
  actor: Actor,
  { folds, ...input }: FreezeFolds & { dataset: string },
): Promise<SnapshotBatch & { created: boolean }> {
  const sources = await freezeSources(deps, actor, input);
  const batchId = newId(deps);
  const prepared: PreparedFold[] = [];
  for (const [place, fold] of folds.entries()) {
    const one = prepareFold(deps, actor, { sources, input: { ...input, fold, batchId } });
    prepared.push(await one.catch((cause) => Promise.reject(ofFold(cause, { fold, place }))));
  }
  const stored = await storeAll(deps, actor, prepared);
  const created = stored.some((one) => one.created);
  const before = new Set(stored.map(({ row }) => row.batchId));
  const batch = created ? batchId : before.size === 1 ? [...before][0] : null;
  const items = await Promise.all(stored.map(({ row }) => snapshotView(deps, row)));
  return { batch, items, created };
}

function ofFold(cause: unknown, { fold, place }: { fold: number | 'all'; place: number }): unknown {
  if (!(cause instanceof ProblemError)) return cause;
  const pointer = `/folds/${place}`;
  const others = (cause.errors ?? []).filter((fault) => fault.pointer !== '/fold');
  const errors = [{ pointer, detail: cause.detail }, ...others];
  return new ProblemError(cause.kind, `Fold ${fold}, and so none: ${cause.detail}`, {
    errors,
    cause,
  });
}

async function storeAll(
  deps: Deps,
  actor: Actor,
  prepared: PreparedFold[],
): Promise<{ row: SnapshotRow; created: boolean }[]> {
  const fresh = prepared.flatMap((one) => (one.stored === null ? [one] : []));
  const made = fresh.map((one) => one.made);
  const entries = fresh.map((one) => one.entry);
  const orm = deps.database.orm;
  const added = fresh.length === 0 ? [] : await insertSnapshots(orm, made, entries);
  const known = new Map(added.flatMap((row) => (row === null ? [] : [[row.inputDigest, row]])));
  const { workspaceId } = actor;
  return await Promise.all(
    prepared.map(async ({ inputDigest, stored }) => {
      const row = known.get(inputDigest);
      if (row !== undefined) return { row, created: true };
      const before = stored ?? (await findSnapshotByInput(orm, { workspaceId, inputDigest }));
      return { row: before as SnapshotRow, created: false };
    }),
  );
}
