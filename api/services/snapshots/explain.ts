// Why one case has its numbers: every term recomputed from the rules, and the result compared with
// what is stored. A difference is an error, never shown as an explanation.

import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findDataset } from '../../store/datasets.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import { listSnapshotChunks, type SnapshotRow } from '../../store/snapshots.ts';
import { boundOf } from '../../weights/diagnostics.ts';
import { explainCase } from '../../weights/resolve.ts';
import { requireSnapshot } from './read.ts';
import { resolveFold } from './resolve.ts';

const unit = 2 ** -52;
const tolerance = 1e-9;

type StoredCase = { targetUnits: number; drawUnits: number; lossFactor: number; score: number };

/** The explanation of a case of a snapshot; throws `not-found` where it is not in it. */
export async function explainSnapshotCase(
  deps: Deps,
  actor: Actor,
  { snapshot: key, caseId }: { snapshot: string; caseId: string },
) {
  const row = await requireSnapshot(deps, actor, key);
  const { fold, rules, attributes } = await recompute(deps, actor, row);
  const place = fold.resolved.ids.indexOf(caseId);
  if (place < 0) throw notDrawn(row, caseId);
  const stored = await storedCase(deps, row, place);
  const { drawUnits, targetUnits } = fold.resolved;
  const withdrawn = new Map(row.withdrawn.map(({ id, reason }) => [id, reason]));
  const terms = explainCase({ cases: fold.table, attributes, rules, withdrawn, caseId });
  const target = targetUnits[place] * unit;
  const draw = drawUnits[place] * unit;
  requireSame(row, caseId, stored, {
    targetUnits: targetUnits[place],
    drawUnits: drawUnits[place],
    lossFactor: fold.resolved.lossFactors[place],
    score: fold.resolved.scores[place],
  });
  return {
    id: caseId,
    terms,
    score: stored.score,
    targetProbability: target,
    drawProbability: draw,
    lossFactor: stored.lossFactor,
    boundedBy: boundOf(stored, row.header),
  };
}

async function recompute(deps: Deps, actor: Actor, row: SnapshotRow) {
  const orm = deps.database.orm;
  const { workspaceId } = actor;
  const dataset = await findDataset(orm, { workspaceId, key: row.datasetId });
  const ruleSet = await findRuleSetById(orm, { datasetId: row.datasetId, id: row.ruleSetId });
  if (dataset === undefined || ruleSet === undefined) {
    throw new ProblemError('internal', 'The rule set of this snapshot is not stored any more.');
  }
  const { version, split, withdrawn } = row;
  const fold = row.header.fold;
  const input = { dataset, version, split, fold, rules: ruleSet.rules, withdrawn };
  return {
    fold: await resolveFold(deps, input),
    rules: ruleSet.rules,
    attributes: dataset.attributes,
  };
}

function notDrawn(row: SnapshotRow, caseId: string): ProblemError {
  const excluded = row.excluded.find((item) => item.id === caseId);
  return new ProblemError(
    'not-found',
    excluded === undefined
      ? `Case "${caseId}" is not on the training side of fold ${row.fold} of split "${row.split}".`
      : `Case "${caseId}" is not in this snapshot: ${excluded.reason}.`,
  );
}

async function storedCase(deps: Deps, row: SnapshotRow, place: number): Promise<StoredCase> {
  let start = 0;
  for await (const chunk of listSnapshotChunks(deps.database.orm, row.id)) {
    const k = place - start;
    if (k < chunk.ordinals.length) {
      return {
        targetUnits: chunk.targetUnits[k],
        drawUnits: chunk.drawUnits[k],
        lossFactor: chunk.lossFactors[k],
        score: chunk.scores[k],
      };
    }
    start += chunk.ordinals.length;
  }
  throw new ProblemError('internal', 'The snapshot holds fewer cases than its header says.');
}

function requireSame(
  row: SnapshotRow,
  caseId: string,
  stored: StoredCase,
  recomputed: StoredCase,
): void {
  for (const name of ['targetUnits', 'drawUnits', 'lossFactor', 'score'] as const) {
    const difference = Math.abs(stored[name] - recomputed[name]);
    if (difference <= Math.abs(stored[name]) * tolerance) continue;
    throw new ProblemError(
      'internal',
      `The stored ${name} of case "${caseId}" in snapshot ${row.digest} is not what its rules give. Do not use this snapshot; check its digest and the audit chain.`,
    );
  }
}
