// What the loss of a drawn case is multiplied by (METHOD.md section 5). Never divided by a batch's
// sum or maximum: that would bias the objective.

import { sumOf } from './sums.ts';
import { wholeUnits } from './units.ts';

/**
 * w_i from target and draw units: T_i/Q_i at strength 1, 1 at strength 0, and between them
 * (T_i/Q_i)^b / Z with Z so that the expected factor of a draw is 1.
 */
export function lossFactors(
  targetUnits: Float64Array,
  drawUnits: Float64Array,
  strength: number,
): Float64Array {
  if (strength === 0) return new Float64Array(targetUnits.length).fill(1);
  const ratios = targetUnits.map((units, k) => units / drawUnits[k]);
  if (strength === 1) return ratios;
  const powers = ratios.map((ratio) => ratio ** strength);
  const scale = sumOf(powers.length, (k) => (drawUnits[k] / wholeUnits) * powers[k]);
  return powers.map((power) => power / scale);
}
