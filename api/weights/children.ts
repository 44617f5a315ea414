// Child snapshots (METHOD.md section 8): the target stays as it is, only the draws move. All of it
// starts from the integers of the parent, and ends in integers with the same sums and bounds.

import { lossFactors } from './loss-factors.ts';
import { probabilityUnits, wholeUnits } from './units.ts';

export type ChildNumbers = {
  /** Whole numbers out of 2^52 in digest order; the parent's own. */
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
};

type Given = { targetUnits: Float64Array; strength: number };

/**
 * A stage of a ramp: q = (1 - r) t + r q_final for the share r (0 to 1) that it has risen to. At 0
 * the draws are the target units, at 1 exactly the final ones. Throws RangeError for another share.
 */
export function rampChild({
  targetUnits,
  finalUnits,
  share,
  strength,
}: Given & { finalUnits: Float64Array; share: number }): ChildNumbers {
  if (!(share >= 0 && share <= 1)) throw new RangeError(`a share is 0 to 1, not ${share}`);
  return withDraws(mixed(targetUnits, finalUnits, share), { targetUnits, strength });
}

export type AdaptiveNumbers = ChildNumbers & {
  /** How much of the newly resolved draws the child holds (0 to 1); the rest is the parent's. */
  share: number;
};

/**
 * The child of `parentUnits` that moves towards newly resolved draw units until the total
 * variation of the integers is `maxShift`, or all the way where that is nearer. Both keep floor
 * and cap of the same target, so every mix of them does.
 */
export function adaptiveChild({
  targetUnits,
  parentUnits,
  resolvedUnits,
  maxShift,
  strength,
}: Given & {
  parentUnits: Float64Array;
  resolvedUnits: Float64Array;
  maxShift: number;
}): AdaptiveNumbers {
  let share = 1;
  let drawUnits: Float64Array = resolvedUnits.slice();
  // Rounding may leave a mix a few units over the limit; the next one aims lower. A share of 0 is
  // the parent itself, so this ends.
  for (let shift = unitShift(parentUnits, drawUnits); shift > maxShift; ) {
    const aim = share * (maxShift / shift) * (1 - 2 ** -40) - 2 ** -50;
    share = aim > 2 ** -40 ? aim : 0;
    drawUnits = mixed(parentUnits, resolvedUnits, share);
    shift = unitShift(parentUnits, drawUnits);
  }
  return { ...withDraws(drawUnits, { targetUnits, strength }), share };
}

/** A child that draws as an earlier snapshot did: its units, and the factors that go with them. */
export function revertChild({
  targetUnits,
  sourceUnits,
  strength,
}: Given & { sourceUnits: Float64Array }): ChildNumbers {
  return withDraws(sourceUnits.slice(), { targetUnits, strength });
}

/** Total variation of two lists of units, 0 to 1; sums of units are exact. */
export function unitShift(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += Math.abs(a[k] - b[k]);
  return sum / 2 / wholeUnits;
}

// (1 - share) a + share b, rounded to units again; the ends are taken as they are.
function mixed(a: Float64Array, b: Float64Array, share: number): Float64Array {
  if (share === 0) return a.slice();
  if (share === 1) return b.slice();
  return probabilityUnits(a.map((units, k) => (units + share * (b[k] - units)) / wholeUnits));
}

function withDraws(drawUnits: Float64Array, { targetUnits, strength }: Given): ChildNumbers {
  return { targetUnits, drawUnits, lossFactors: lossFactors(targetUnits, drawUnits, strength) };
}

/**
 * The share of a ramp's final draws in an epoch (from 0): 0 at the start, then `stages` equal steps
 * over `epochs`, and 1 from there on. Several steps may fall into one epoch.
 */
export function rampShare(
  { epochs, stages }: { epochs: number; stages: number },
  epoch: number,
): number {
  return epoch >= epochs ? 1 : Math.floor((epoch * stages) / epochs) / stages;
}
