// Why one case has its numbers: every term recomputed from the rules, and the result compared with
// what is stored. A difference is an error, kept in the audit chain and never shown as explanation.

import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { insertFinding } from '../../store/audit.ts';
import { findOrdinals } from '../../store/cases.ts';
import { listSnapshotChunks, type SnapshotRow } from '../../store/snapshots.ts';
import { boundOf } from '../../weights/diagnostics.ts';
import { type ExplainedTerm, explainCases } from '../../weights/resolve.ts';
import { entryOf } from '../entries.ts';
import { requireSnapshot } from './read.ts';
import { recompute } from './recompute.ts';

const unit = 2 ** -52;
const tolerance = 1e-9;

/** The numbers of one case as a snapshot stores them. */
export type StoredCase = {
  targetUnits: number;
  drawUnits: number;
  lossFactor: number;
  score: number;
};

/** The explanation of a case of a snapshot; throws `not-found` where it is not in it. */
export async function explainSnapshotCase(
  deps: Deps,
  actor: Actor,
  { snapshot: key, caseId }: { snapshot: string; caseId: string },
) {
  const row = await requireSnapshot(deps, actor, key);
  const stored = await storedCase(deps, row, caseId);
  if (stored === undefined) throw notDrawn(row, caseId);
  const cases = new Map([[caseId, stored]]);
  const { explained, mix } = await explainedSnapshot(deps, actor, { row, cases });
  return {
    id: caseId,
    terms: explained.get(caseId) as ExplainedTerm[],
    score: stored.score,
    targetProbability: stored.targetUnits * unit,
    drawProbability: stored.drawUnits * unit,
    lossFactor: stored.lossFactor,
    boundedBy: boundOf(stored, row.header),
    mix,
  };
}

/**
 * The terms of cases that are in a snapshot, its fold resolved once. Throws `internal`, after an
 * audit entry and a line in the log, where a stored number is not what the rules give.
 */
export async function explainedTerms(
  deps: Deps,
  actor: Actor,
  given: { row: SnapshotRow; cases: Map<string, StoredCase> },
): Promise<Map<string, ExplainedTerm[]>> {
  return (await explainedSnapshot(deps, actor, given)).explained;
}

async function explainedSnapshot(
  deps: Deps,
  actor: Actor,
  { row, cases }: { row: SnapshotRow; cases: Map<string, StoredCase> },
): Promise<{ explained: Map<string, ExplainedTerm[]>; mix: string | null }> {
  const { fold, rules, mix } = await recompute(deps, row);
  const { resolved, table, attributes } = fold;
  for (const [caseId, stored] of cases) {
    const place = resolved.ids.indexOf(caseId);
    const recomputed = {
      targetUnits: resolved.targetUnits[place] ?? Number.NaN,
      drawUnits: resolved.drawUnits[place] ?? Number.NaN,
      lossFactor: resolved.lossFactors[place] ?? Number.NaN,
      score: resolved.scores[place] ?? Number.NaN,
    };
    await requireSame(deps, actor, { row, caseId, stored, recomputed });
  }
  const withdrawn = new Map(row.withdrawn.map(({ id, reason }) => [id, reason]));
  const caseIds = [...cases.keys()];
  const explained = explainCases({ cases: table, attributes, rules, withdrawn, caseIds });
  return { explained, mix };
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

async function storedCase(
  deps: Deps,
  row: SnapshotRow,
  caseId: string,
): Promise<StoredCase | undefined> {
  const orm = deps.database.orm;
  const { datasetId, version } = row;
  const ordinal = (await findOrdinals(orm, { datasetId, version, ids: [caseId] })).get(caseId);
  if (ordinal === undefined) return undefined;
  for await (const chunk of listSnapshotChunks(orm, row.id)) {
    const k = chunk.ordinals.indexOf(ordinal);
    if (k < 0) continue;
    return {
      targetUnits: chunk.targetUnits[k],
      drawUnits: chunk.drawUnits[k],
      lossFactor: chunk.lossFactors[k],
      score: chunk.scores[k],
    };
  }
  return undefined;
}

async function requireSame(
  deps: Deps,
  actor: Actor,
  {
    row,
    caseId,
    stored,
    recomputed,
  }: { row: SnapshotRow; caseId: string; stored: StoredCase; recomputed: StoredCase },
): Promise<void> {
  for (const number of ['targetUnits', 'drawUnits', 'lossFactor', 'score'] as const) {
    const difference = Math.abs(stored[number] - recomputed[number]);
    if (difference <= Math.abs(stored[number]) * tolerance) continue;
    const detail = `The stored ${number} of case "${caseId}" in snapshot ${row.digest} is not what its rules give. Do not use this snapshot; check its digest and the audit chain.`;
    const numbers = { stored: stored[number], recomputed: recomputed[number] };
    deps.log('error', detail, { snapshot: row.digest, case: caseId, number, ...numbers });
    const entry = entryOf(deps, actor, {
      action: 'snapshot.explanationRefused',
      subject: `snapshot/${row.digest}`,
      detail: { case: caseId, number },
    });
    await insertFinding(deps.database.orm, entry);
    throw new ProblemError('internal', detail);
  }
}
