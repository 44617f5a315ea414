// Freezing a snapshot, and the what-if that stores nothing.

import canonicalize from 'canonicalize';
import type { Freeze, Snapshot, SnapshotHeader, WhatIf } from '../../contract/snapshots.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId, sha256Text } from '../../ids.ts';
import type { DatasetRow } from '../../store/datasets.ts';
import type { RuleSetRow } from '../../store/rule-sets.ts';
import { findSnapshotByInput, insertSnapshot, type SnapshotRow } from '../../store/snapshots.ts';
import { lowEffectiveFault } from '../../weights/diagnostics.ts';
import { scoresDigest, snapshotDigest } from '../../weights/digest.ts';
import { requireDataset } from '../datasets.ts';
import { entryOf } from '../entries.ts';
import { requireRuleSet, requireSoundRules } from '../rule-sets.ts';
import { requireVersion } from '../versions.ts';
import { snapshotView } from './read.ts';
import { type ResolvedFold, resolveFold, type Withdrawn, withdrawnOfFold } from './resolve.ts';

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
  return { diagnostics, excluded, largest: diagnostics.largest, groups: diagnostics.groups };
}

/**
 * Freezes a snapshot; the same inputs give the stored one (`created` false). Throws
 * `unprocessable` naming fields and cases that do not hold, or when the effective fraction is low.
 */
export async function freezeSnapshot(
  deps: Deps,
  actor: Actor,
  { dataset: key, ...input }: Freeze & { dataset: string; batchId?: string },
): Promise<{ snapshot: Snapshot; created: boolean }> {
  const dataset = await requireDataset(deps, actor, key);
  const ruleSet = await requireRuleSet(deps, { datasetId: dataset.id, key: input.ruleSet });
  const version = await requireVersion(
    deps,
    { datasetId: dataset.id, number: input.version },
    'committed',
  );
  const withdrawn = await withdrawnOfFold(deps, { dataset, ...input });
  const inputDigest = await sha256Text(
    canonicalize({
      dataset: dataset.name,
      datasetVersionDigest: version.digest,
      split: input.split,
      fold: input.fold,
      ruleSetDigest: ruleSet.digest,
      parentDigest: null,
      withdrawals: withdrawn.map(({ id }) => id),
    }) as string,
  );
  const known = { workspaceId: actor.workspaceId, inputDigest };
  const before = await findSnapshotByInput(deps.database.orm, known);
  if (before !== undefined) {
    return { snapshot: await snapshotView(deps, before), created: false };
  }
  const fold = await resolveFold(deps, { ...input, dataset, rules: ruleSet.rules, withdrawn });
  requireEffective(fold, input.acceptLowEffective ?? false);
  const row = snapshotRow(deps, actor, {
    dataset,
    ruleSet,
    input,
    fold,
    inputDigest,
    withdrawn,
  });
  const stored = await store(deps, actor, { row, fold, name: dataset.name });
  const made = stored ?? (await findSnapshotByInput(deps.database.orm, known));
  return { snapshot: await snapshotView(deps, made as SnapshotRow), created: stored !== null };
}

function requireEffective({ resolved }: ResolvedFold, accepted: boolean): void {
  const fault = lowEffectiveFault(resolved.diagnostics);
  if (accepted || fault === null) return;
  throw new ProblemError('unprocessable', fault.detail, { errors: [fault] });
}

function snapshotRow(
  deps: Deps,
  actor: Actor,
  made: {
    dataset: DatasetRow;
    ruleSet: RuleSetRow;
    input: Freeze & { batchId?: string };
    fold: ResolvedFold;
    inputDigest: string;
    withdrawn: Withdrawn[];
  },
): SnapshotRow {
  const { dataset, ruleSet, input, fold } = made;
  const { sampling, correction } = ruleSet.rules;
  const header: SnapshotHeader = {
    format: 1,
    dataset: dataset.name,
    datasetVersionDigest: fold.datasetVersionDigest,
    split: input.split,
    fold: input.fold,
    ruleSetDigest: ruleSet.digest,
    floor: sampling.floor,
    cap: sampling.cap,
    temper: sampling.temper,
    strength: correction.strength,
    caseCount: fold.resolved.ids.length,
    parentDigest: null,
    evidenceDigest: null,
    cause: 'rules',
  };
  return {
    id: newId(deps),
    workspaceId: actor.workspaceId,
    datasetId: dataset.id,
    version: input.version,
    split: input.split,
    fold: String(input.fold),
    ruleSetId: ruleSet.id,
    parentId: null,
    digest: snapshotDigest({ header, ...fold.resolved }),
    scoresDigest: scoresDigest(fold.resolved.scores),
    inputDigest: made.inputDigest,
    header,
    diagnostics: fold.resolved.diagnostics,
    excluded: fold.resolved.excluded,
    withdrawn: made.withdrawn,
    batchId: input.batchId ?? null,
    reason: input.reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
}

async function store(
  deps: Deps,
  actor: Actor,
  { row, fold, name }: { row: SnapshotRow; fold: ResolvedFold; name: string },
): Promise<SnapshotRow | null> {
  const { ids, targetUnits, drawUnits, lossFactors, scores } = fold.resolved;
  const vectors = { ordinals: fold.ordinals, targetUnits, drawUnits, lossFactors, scores };
  const entry = entryOf(deps, actor, {
    action: 'snapshot.frozen',
    subject: `snapshot/${row.digest}`,
    reason: row.reason,
    detail: { id: row.id, dataset: name, version: row.version, split: row.split, fold: row.fold },
  });
  return await insertSnapshot(deps.database.orm, { row, ids, vectors }, entry);
}
