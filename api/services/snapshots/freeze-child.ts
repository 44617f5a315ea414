// What a child is frozen as when a running job switches to it: everything that is stored, and
// nothing stored yet (store/children.ts does, together with the switch).

import canonicalize from 'canonicalize';
import type { SnapshotHeader } from '../../contract/snapshots.ts';
import type { Deps } from '../../deps.ts';
import { newId, sha256Text } from '../../ids.ts';
import type { MadeChild, Origin } from '../../store/children.ts';
import { findSnapshotById, findSnapshotByInput, type SnapshotRow } from '../../store/snapshots.ts';
import { lowEffectiveFault } from '../../weights/diagnostics.ts';
import { scoresDigest, snapshotDigest } from '../../weights/digest.ts';
import { drawTable } from './read.ts';
import { type ChildCause, evidenceDigestOf, resolveChild } from './recompute.ts';
import type { ResolvedFold } from './resolve.ts';

export type ChildInput = {
  parent: SnapshotRow;
  cause: ChildCause;
  origin: Origin;
  jobId: string;
  /** Who froze it: the trainer of which job. */
  by: string;
  /** Why, as a sentence. */
  reason: string;
};

/**
 * Prepares a child; `kept` says why there is none where it would draw like its parent, or where its
 * effective fraction falls under the gate that its parent passed. Throws `unprocessable` naming
 * cases where the rules do not hold with the evidence.
 */
export async function prepareChild(
  deps: Deps,
  input: ChildInput,
): Promise<MadeChild | { kept: string }> {
  const { parent, origin, cause } = input;
  const { workspaceId, header } = parent;
  const { ids, drawUnits: parentUnits } = await drawTable(deps, parent.id);
  const evidence = evidenceDigestOf(ids, origin);
  const source =
    origin.sourceId === null
      ? undefined
      : await findSnapshotById(deps.database.orm, origin.sourceId);
  const inputDigest = await sha256Text(
    canonicalize({
      dataset: header.dataset,
      datasetVersionDigest: header.datasetVersionDigest,
      split: parent.split,
      fold: header.fold,
      ruleSetDigest: header.ruleSetDigest,
      parentDigest: parent.digest,
      withdrawals: parent.withdrawn.map(({ id }) => id),
      cause,
      share: origin.share,
      evidenceDigest: evidence,
      sourceDigest: source?.digest ?? null,
    }) as string,
  );
  const stored = await findSnapshotByInput(deps.database.orm, { workspaceId, inputDigest });
  if (stored !== undefined) return { inputDigest, origin, stored };
  const { fold } = await resolveChild(deps, input);
  const kept = keptBecause(fold, { parent, parentUnits, cause });
  if (kept !== null) return { kept };
  const row = childRow(deps, input, { fold, inputDigest, evidence });
  const { targetUnits, drawUnits, lossFactors, scores } = fold.resolved;
  const vectors = { ordinals: fold.ordinals, targetUnits, drawUnits, lossFactors, scores };
  const entry = entryOf(row, input);
  return { inputDigest, origin, stored: null, made: { row, ids, vectors }, entry };
}

function keptBecause(
  { resolved: { drawUnits, diagnostics } }: ResolvedFold,
  given: { parent: SnapshotRow; parentUnits: Float64Array; cause: ChildCause },
): string | null {
  const { parent, parentUnits, cause } = given;
  if (drawUnits.every((units, k) => units === parentUnits[k])) {
    return 'it would draw exactly as before';
  }
  const fault = lowEffectiveFault(diagnostics);
  // Draws that were there before, or lie towards the target, need no gate of their own.
  if (cause !== 'adaptive' || fault === null) return null;
  return lowEffectiveFault(parent.diagnostics) === null ? fault.detail : null;
}

function childRow(
  deps: Deps,
  { parent, cause, by, reason }: ChildInput,
  made: { fold: ResolvedFold; inputDigest: string; evidence: string | null },
): SnapshotRow {
  const { resolved } = made.fold;
  const header: SnapshotHeader = {
    ...parent.header,
    parentDigest: parent.digest,
    evidenceDigest: made.evidence,
    cause,
  };
  return {
    ...parent,
    id: newId(deps),
    parentId: parent.id,
    digest: snapshotDigest({ header, ...resolved }),
    scoresDigest: scoresDigest(resolved.scores),
    inputDigest: made.inputDigest,
    header,
    diagnostics: resolved.diagnostics,
    batchId: null,
    reason,
    createdAt: deps.now(),
    createdBy: by,
  };
}

function entryOf(row: SnapshotRow, { parent, origin, cause, jobId, by, reason }: ChildInput) {
  return {
    workspaceId: row.workspaceId,
    at: row.createdAt,
    actor: by,
    action: 'snapshot.child-frozen',
    subject: `snapshot/${row.digest}`,
    reason,
    detail: {
      id: row.id,
      parent: parent.digest,
      cause,
      job: jobId,
      share: origin.share,
      evidence: row.header.evidenceDigest,
      source: origin.sourceId,
    },
  };
}
