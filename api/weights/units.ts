// Probabilities as whole units out of 2^52 by largest remainder (METHOD.md section 5). Units are at
// most 2^52, so doubles hold them exactly.

export const wholeUnits = 2 ** 52;

/** Below this a floor or a target means nothing: freezing refuses (METHOD.md section 5). */
export const minUnits = 2 ** 20;

/**
 * Units that sum to exactly 2^52, from probabilities that sum to 1 within rounding. Cases stand in
 * id order, which also breaks ties. Throws RangeError where the probabilities do not sum to 1.
 */
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
  if (!(Math.abs(missing) <= count + 4_096)) {
    throw new RangeError(`probabilities are ${missing} of 2^52 units short of 1`);
  }
  while (missing !== 0) missing -= settle(units, remainders, missing);
  return units;
}

// One unit each to the largest remainders, or from the smallest; returns how many were given. The
// remainder of the last one served is found by a plain sort, which needs no order of cases.
function settle(units: Float64Array, remainders: Float64Array, missing: number): number {
  const step = Math.sign(missing);
  const keys = remainders.map((remainder, k) => {
    if (step > 0) return remainder;
    return units[k] > 0 ? -remainder : -Infinity;
  });
  const served = Math.min(Math.abs(missing), units.length);
  const last = keys.toSorted()[units.length - served];
  let left = served;
  for (let k = 0; k < units.length; k++) {
    if (keys[k] > last) left--;
  }
  let given = 0;
  for (let k = 0; k < units.length; k++) {
    if (keys[k] === -Infinity || keys[k] < last) continue;
    if (keys[k] === last && left-- <= 0) continue;
    units[k] += step;
    given += step;
  }
  return given;
}

/** The sum of units: whole numbers from 0, so it is exact while it is at most 2^53. */
export function unitSum(units: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < units.length; k++) sum += units[k];
  return sum;
}
