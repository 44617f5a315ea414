// Draws of one case: its count in a replayed plan, and the bounds that hold for every plan.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { caseDraws, drawBounds } from '../../api/weights/case-draws.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { probabilityUnits } from '../../api/weights/units.ts';

const inputs = fc.record({
  scores: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 }),
  drawsPerEpoch: fc.integer({ min: 1, max: 60 }),
  seed: fc.nat(),
  epoch: fc.nat({ max: 1000 }),
});

function plannedOf({ scores, ...key }: { scores: number[] } & Record<string, any>) {
  const sum = scores.reduce((all, score) => all + score, 0);
  const drawUnits = probabilityUnits(Float64Array.from(scores, (score) => score / sum));
  const { drawsPerEpoch, seed, epoch } = key;
  return { digest: `sha256:${'0'.repeat(64)}`, drawUnits, drawsPerEpoch, seed, epoch };
}

test('is the number of times that the plan names the case; all cases together are every draw', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const planned = plannedOf(input);
      const plan = drawPlan(planned);
      const counts = input.scores.map((_, place) => caseDraws(place, planned));
      expect(counts).toEqual(
        input.scores.map((_, place) => plan.filter((one) => one === place).length),
      );
      expect(counts.reduce((all, count) => all + count, 0)).toBe(input.drawsPerEpoch);
    }),
  );
});

test('stays within its bounds, which are equal or one apart', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const planned = plannedOf(input);
      for (const [place, drawUnits] of planned.drawUnits.entries()) {
        const { atLeast, atMost } = drawBounds({ drawUnits, drawsPerEpoch: input.drawsPerEpoch });
        const count = caseDraws(place, planned);
        expect(count).toBeGreaterThanOrEqual(atLeast);
        expect(count).toBeLessThanOrEqual(atMost);
        expect(atMost - atLeast).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test.each([
  [2 ** 51, 8, 4, 4],
  [2 ** 51 + 1, 8, 4, 5],
  [2 ** 51 - 1, 8, 3, 4],
  [2 ** 52, 2 ** 26, 2 ** 26, 2 ** 26],
  [2 ** 20, 1, 0, 1],
])('%d units and %d draws an epoch give %d to %d', (drawUnits, drawsPerEpoch, atLeast, atMost) => {
  expect(drawBounds({ drawUnits, drawsPerEpoch })).toEqual({ atLeast, atMost });
});
