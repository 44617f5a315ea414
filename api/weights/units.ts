// Probabilities as whole units out of 2^52 by largest remainder (METHOD.md section 5). Units are at
// most 2^52, so doubles hold them exactly.

import { runningSum } from './sums.ts';

export const wholeUnits = 2 ** 52;

/** Below this a floor or a target means nothing: freezing refuses (METHOD.md section 5). */
export const minUnits = 2 ** 20;

/** Units that sum to exactly 2^52. Cases stand in id order, which also breaks ties. */
export function probabilityUnits(probabilities: Float64Array): Float64Array {
  const count = probabilities.length;
  const units = new Float64Array(count);
  const remainders = new Float64Array(count);
  let missing = wholeUnits;
  for (let k = 0; k < count; k++) {
    const exact = probabilities[k] * wholeUnits;
    units[k] = Math.floor(exact);
    remainders[k] = exact - units[k];
    missing -= units[k];
  }
  const order = Uint32Array.from({ length: count }, (_, k) => k);
  if (missing > 0) order.sort((a, b) => remainders[b] - remainders[a] || a - b);
  else order.sort((a, b) => remainders[a] - remainders[b] || a - b);
  const step = missing > 0 ? 1 : -1;
  for (let left = Math.abs(missing), k = 0; left > 0; k = (k + 1) % count) {
    if (step < 0 && units[order[k]] === 0) continue;
    units[order[k]] += step;
    left--;
  }
  return units;
}

/** The sum of units, exact while it is at most 2^53. */
export function unitSum(units: ArrayLike<number>): number {
  const sum = runningSum();
  for (let k = 0; k < units.length; k++) sum.add(units[k]);
  return sum.value();
}
