// What differs between two snapshots of one dataset. Whole snapshots are compared in typed arrays;
// only the cases that the answer names are looked up and explained, each fold resolved once.

import type { DiffMove, DiffShares, DiffSide, SnapshotDiff } from '../../contract/diffs.ts';
import { namedCases } from '../../contract/diffs.ts';
import type { Diagnostics } from '../../contract/snapshots.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findOrdinals, listCaseIds } from '../../store/cases.ts';
import { findRuleSetById, type RuleSetRow } from '../../store/rule-sets.ts';
import type { SnapshotRow } from '../../store/snapshots.ts';
import { boundOf } from '../../weights/diagnostics.ts';
import { compareIds } from '../../weights/digest.ts';
import {
  type MovedSide,
  movedBecause,
  movedTerms,
  presentBecause,
} from '../../weights/move-reasons.ts';
import { addedCases, distances, holds, largestMoves } from '../../weights/moves.ts';
import type { ExplainedTerm } from '../../weights/resolve.ts';
import { wholeUnits } from '../../weights/units.ts';
import { explainedTerms, type StoredCase } from './explain.ts';
import { loadNumbers, type SnapshotNumbers } from './numbers.ts';
import { requireSnapshot } from './read.ts';
import { rulesDiff } from './rules-diff.ts';

const mostMoves = 10;
const sides = ['from', 'to'] as const;
type Both<Value> = { from: Value; to: Value };
type MovedCase = { id: string } & Both<StoredCase | null>;

/**
 * What differs between snapshot `a` and snapshot `b`. Throws `not-found`, `unprocessable` where
 * they are of two datasets, and `internal` where a case cannot be explained (see explain.ts).
 */
export async function diffSnapshots(
  deps: Deps,
  actor: Actor,
  { a, b }: { a: string; b: string },
): Promise<SnapshotDiff> {
  const from = await requireSnapshot(deps, actor, a);
  const to = await requireSnapshot(deps, actor, b);
  requireOneDataset(from, to);
  const rules = { from: await ruleSetOf(deps, from), to: await ruleSetOf(deps, to) };
  const { moved, ...compared } = await compare(deps, { from, to });
  return {
    from: sideOf(from, rules.from),
    to: sideOf(to, rules.to),
    effectiveFraction: {
      from: from.diagnostics.effectiveFraction,
      to: to.diagnostics.effectiveFraction,
    },
    ...compared,
    groups: groupsOf(from.diagnostics, to.diagnostics),
    largestMoves: await explainedMoves(deps, actor, { from, to, moved }),
    rulesDiff: rulesDiff(
      { name: nameOf(rules.from), rules: rules.from.rules },
      { name: nameOf(rules.to), rules: rules.to.rules },
    ),
  };
}

function requireOneDataset(from: SnapshotRow, to: SnapshotRow): void {
  if (from.datasetId === to.datasetId) return;
  throw new ProblemError(
    'unprocessable',
    `Snapshot ${from.digest} is of dataset "${from.header.dataset}" and ${to.digest} of "${to.header.dataset}". Only two snapshots of one dataset can be compared: a case id means another case in another dataset.`,
  );
}

async function ruleSetOf(deps: Deps, row: SnapshotRow): Promise<RuleSetRow> {
  const key = { datasetId: row.datasetId, id: row.ruleSetId };
  const found = await findRuleSetById(deps.database.orm, key);
  if (found !== undefined) return found;
  throw new ProblemError('internal', `The rule set of snapshot ${row.digest} is not stored.`);
}

const nameOf = (ruleSet: RuleSetRow) => `${ruleSet.name}@${ruleSet.version}`;

function sideOf(row: SnapshotRow, ruleSet: RuleSetRow): DiffSide {
  const { id, digest, version, split, header } = row;
  const { fold, caseCount } = header;
  return { id, digest, version, split, fold, ruleSet: nameOf(ruleSet), caseCount };
}

// All that needs the numbers of every case; they are let go of before any fold is resolved.
async function compare(deps: Deps, rows: Both<SnapshotRow>) {
  const numbers = {
    from: await loadNumbers(deps, rows.from),
    to: await loadNumbers(deps, rows.to),
  };
  const { totalVariation, objectiveChanged, ...objective } = distances(numbers);
  const added = addedCases(numbers, namedCases);
  const removed = addedCases({ from: numbers.to, to: numbers.from }, namedCases);
  return {
    totalVariation,
    objectiveChanged,
    objective,
    added: await idsOf(deps, rows.to, added.first),
    addedCount: added.count,
    removed: await idsOf(deps, rows.from, removed.first),
    removedCount: removed.count,
    moved: await movedCases(deps, rows, numbers),
  };
}

async function idsOf(deps: Deps, row: SnapshotRow, ordinals: number[]): Promise<string[]> {
  const { datasetId, version } = row;
  return await listCaseIds(deps.database.orm, { datasetId, version, ordinals });
}

// The largest moves with both stored numbers, ties by id: candidates come in digest order of each
// snapshot, so that the first of a tie are among them.
async function movedCases(
  deps: Deps,
  rows: Both<SnapshotRow>,
  numbers: Both<SnapshotNumbers>,
): Promise<MovedCase[]> {
  const moves = largestMoves(numbers, mostMoves);
  const ids = new Map<number, string>();
  for (const side of sides) {
    const ordinals = moves.map(({ ordinal }) => ordinal).filter((k) => holds(numbers[side], k));
    const found = await idsOf(deps, rows[side], ordinals);
    found.forEach((id, k) => {
      ids.set(ordinals[k], id);
    });
  }
  return moves
    .map((move) => ({ ...move, id: ids.get(move.ordinal) as string }))
    .sort((a, b) => b.change - a.change || compareIds(a.id, b.id))
    .slice(0, mostMoves)
    .map(({ id, ordinal }) => ({
      id,
      from: storedAt(numbers.from, ordinal),
      to: storedAt(numbers.to, ordinal),
    }));
}

function storedAt(numbers: SnapshotNumbers, k: number): StoredCase | null {
  if (!holds(numbers, k)) return null;
  const { targetUnits, drawUnits, lossFactors, scores } = numbers;
  return {
    targetUnits: targetUnits[k],
    drawUnits: drawUnits[k],
    lossFactor: lossFactors[k],
    score: scores[k],
  };
}

async function explainedMoves(
  deps: Deps,
  actor: Actor,
  { moved, ...rows }: Both<SnapshotRow> & { moved: MovedCase[] },
): Promise<DiffMove[]> {
  const explained: Both<Map<string, ExplainedTerm[]>> = { from: new Map(), to: new Map() };
  const reasons = new Map<string, string>();
  for (const side of sides) {
    const row = rows[side];
    const present = moved.flatMap((one) => {
      const stored = one[side];
      return stored === null ? [] : [[one.id, stored] as const];
    });
    const absent = moved.filter((one) => one[side] === null).map(({ id }) => id);
    const cases = new Map(present);
    if (cases.size > 0) explained[side] = await explainedTerms(deps, actor, { row, cases });
    for (const [id, reason] of await absences(deps, row, absent)) {
      reasons.set(id, presentBecause(side, reason));
    }
  }
  return moved.map((one) => {
    const { id, from, to } = one;
    const terms = movedTerms(explained.from.get(id) ?? [], explained.to.get(id) ?? []);
    const because =
      from === null || to === null
        ? (reasons.get(id) as string)
        : movedBecause(movedSide(from, rows.from), movedSide(to, rows.to), terms);
    return { id, from: shares(from), to: shares(to), terms, because };
  });
}

function shares(stored: StoredCase | null): DiffMove['from'] {
  if (stored === null) return null;
  return {
    targetProbability: stored.targetUnits / wholeUnits,
    drawProbability: stored.drawUnits / wholeUnits,
    lossFactor: stored.lossFactor,
  };
}

function movedSide(stored: StoredCase, { header }: SnapshotRow): MovedSide {
  const drawProbability = stored.drawUnits / wholeUnits;
  return { drawProbability, boundedBy: boundOf(stored, header), header };
}

// Why a snapshot does not hold these cases.
async function absences(deps: Deps, row: SnapshotRow, ids: string[]): Promise<Map<string, string>> {
  const { datasetId, version, split, fold } = row;
  const known = await findOrdinals(deps.database.orm, { datasetId, version, ids });
  return new Map(
    ids.map((id) => {
      const excluded = row.excluded.find((item) => item.id === id);
      if (excluded !== undefined) return [id, excluded.reason];
      return [
        id,
        known.has(id)
          ? `not on the training side of fold ${fold} of split "${split}"`
          : `not a case of version ${version}`,
      ];
    }),
  );
}

// Groups that either snapshot reports, in the order of the first one's rules and then the second's.
function groupsOf(from: Diagnostics, to: Diagnostics): SnapshotDiff['groups'] {
  const all = [...from.groups, ...to.groups];
  const attributes = [...new Set(all.map(({ attribute }) => attribute))];
  return attributes.flatMap((attribute) => {
    const values = new Set(all.filter((one) => one.attribute === attribute).map((g) => g.value));
    return [...values].sort().map((value) => ({
      attribute,
      value,
      from: groupShares(from, attribute, value),
      to: groupShares(to, attribute, value),
    }));
  });
}

function groupShares({ groups }: Diagnostics, attribute: string, value: string): DiffShares {
  const found = groups.find((one) => one.attribute === attribute && one.value === value);
  if (found === undefined) return null;
  const { targetShare, drawShare, effectiveTargetShare } = found;
  return { targetShare, drawShare, effectiveTargetShare };
}
