// How often one case is drawn in an epoch: exactly, from the replayed plan, or within one, from its
// units alone.

import { drawPlan, type PlanInput } from './draws.ts';

/** Draws of the case at `place` (in id order) in one epoch's plan (METHOD.md section 6). */
export function caseDraws(place: number, input: PlanInput): number {
  let count = 0;
  for (const drawn of drawPlan(input)) if (drawn === place) count++;
  return count;
}

/**
 * The least and the most draws of a case in any epoch: floor and ceil of M q, whatever the seed
 * (METHOD.md section 6). `drawUnits` are out of 2^52.
 */
export function drawBounds({
  drawUnits,
  drawsPerEpoch,
}: {
  drawUnits: number;
  drawsPerEpoch: number;
}): { atLeast: number; atMost: number } {
  const product = BigInt(drawUnits) * BigInt(drawsPerEpoch);
  const atLeast = Number(product >> 52n);
  return { atLeast, atMost: product % 2n ** 52n === 0n ? atLeast : atLeast + 1 };
}
