// What moved between two snapshots of one dataset: distances of their distributions, and the cases
// whose draws moved most. Numbers stand by ordinal, which names a case in every snapshot.

import { runningSum } from './sums.ts';
import { wholeUnits } from './units.ts';

/** The numbers of one snapshot. A case that is not in it has 0 draw units, and none in it has. */
export type PlacedNumbers = {
  /** Ordinals of the cases in digest order. */
  order: Int32Array;
  /** By ordinal: units out of 2^52, and loss factors. */
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
};

export type Sides = { from: PlacedNumbers; to: PlacedNumbers };

/** How far a case's target or effective target may differ, in units of 2^-52, and be the same. */
export const objectiveTolerance = 4;

export type Move = { ordinal: number; change: number };

/** Whether a case of this ordinal is in the snapshot. */
export function holds({ drawUnits }: PlacedNumbers, ordinal: number): boolean {
  return drawUnits[ordinal] > 0;
}

/** The sum of q_i w_i, by which the effective target is normalised. */
export function effectiveTotal({ order, drawUnits, lossFactors }: PlacedNumbers): number {
  const sum = runningSum();
  for (const k of order) sum.add((drawUnits[k] / wholeUnits) * lossFactors[k]);
  return sum.value();
}

/**
 * Distances between two snapshots over the union of their cases, where a missing case has 0: total
 * variations of draws, target and effective target (METHOD.md section 5), and whether a target or
 * effective target of any case differs by more than `objectiveTolerance` units.
 */
export function distances({ from, to }: Sides): {
  totalVariation: number;
  targetVariation: number;
  effectiveTargetVariation: number;
  objectiveChanged: boolean;
} {
  const totals = { from: effectiveTotal(from), to: effectiveTotal(to) };
  const sums = { draw: runningSum(), target: runningSum(), effective: runningSum() };
  let changed = false;
  const add = (k: number) => {
    const draw = Math.abs(at(from.drawUnits, k) - at(to.drawUnits, k)) / wholeUnits;
    const target = Math.abs(at(from.targetUnits, k) - at(to.targetUnits, k)) / wholeUnits;
    const effective = Math.abs(effectiveAt(from, totals.from, k) - effectiveAt(to, totals.to, k));
    sums.draw.add(draw);
    sums.target.add(target);
    sums.effective.add(effective);
    if (Math.max(target, effective) * wholeUnits > objectiveTolerance) changed = true;
  };
  for (const k of from.order) add(k);
  for (const k of to.order) if (!holds(from, k)) add(k);
  return {
    totalVariation: sums.draw.value() / 2,
    targetVariation: sums.target.value() / 2,
    effectiveTargetVariation: sums.effective.value() / 2,
    objectiveChanged: changed,
  };
}

/**
 * The cases of the largest changes of draw units, changes exact: up to `count` of those in `from`
 * and up to `count` of those in `to` alone, each list largest first and ties in digest order. The
 * `count` largest of all are among them.
 */
export function largestMoves({ from, to }: Sides, count: number): Move[] {
  const changeOf = (k: number) => Math.abs(at(from.drawUnits, k) - at(to.drawUnits, k));
  const kept = leaders(from.order, changeOf, count);
  const added = leaders(to.order, (k) => (holds(from, k) ? 0 : changeOf(k)), count);
  return [...kept, ...added];
}

/** Ordinals of cases in `to` alone, in digest order: the first `limit` and how many there are. */
export function addedCases({ from, to }: Sides, limit: number): { first: number[]; count: number } {
  const first: number[] = [];
  let count = 0;
  for (const k of to.order) {
    if (holds(from, k)) continue;
    if (count++ < limit) first.push(k);
  }
  return { first, count };
}

function leaders(order: Int32Array, changeOf: (k: number) => number, count: number): Move[] {
  const best: Move[] = [];
  for (const ordinal of order) {
    const change = changeOf(ordinal);
    if (change === 0 || (best.length === count && change <= best[count - 1].change)) continue;
    const place = best.findIndex((other) => other.change < change);
    best.splice(place < 0 ? best.length : place, 0, { ordinal, change });
    if (best.length > count) best.pop();
  }
  return best;
}

// The arrays of two snapshots may end at different ordinals.
function at(values: Float64Array, ordinal: number): number {
  return values[ordinal] ?? 0;
}

function effectiveAt(numbers: PlacedNumbers, total: number, k: number): number {
  return ((at(numbers.drawUnits, k) / wholeUnits) * at(numbers.lossFactors, k)) / total;
}
