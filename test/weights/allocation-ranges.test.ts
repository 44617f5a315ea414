// Allocation where most of the scores are far below those at the cap: what is left is still shared
// in proportion (METHOD.md section 4).

import { expect, test } from 'vitest';
import { drawProbabilities } from '../../api/weights/allocation.ts';

test.each([1e-10, 1e-30, 1e-60, 1e-140])(
  'scores %d below the capped ones keep their ratios',
  (low) => {
    const target = Float64Array.of(0.1, 0.13, 0.07, 0.11, 0.19, 0.17, 0.23);
    const scores = [1, 0.7, 0.9, 3 * low, 1.7 * low, 2 * low, 1.3 * low];
    const q = drawProbabilities({
      target,
      logScores: Float64Array.from(scores, Math.log),
      temper: 1,
      floor: 1e-290,
      cap: 2,
    });
    const masses = [0.11 * 3, 0.19 * 1.7, 0.17 * 2, 0.23 * 1.3];
    const mass = masses.reduce((a, b) => a + b);
    const expected = [0.2, 0.26, 0.14, ...masses.map((value) => (0.4 * value) / mass)];
    for (const [k, value] of expected.entries())
      expect(Math.abs(q[k] / value - 1)).toBeLessThan(1e-12);
  },
);
