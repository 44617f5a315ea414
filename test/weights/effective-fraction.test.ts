// Identities of the diagnostics for any scores (METHOD.md section 10); diagnostics.test.ts has the
// numbers by hand.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawsUntilSeen } from '../../api/weights/diagnostics.ts';
import { sumOf } from '../../api/weights/sums.ts';
import { wholeUnits } from '../../api/weights/units.ts';
import { resolved, scoredCases } from './cases.ts';

describe('the effective fraction', () => {
  const snapshots = fc.record({
    scores: fc.array(fc.double({ min: 0, max: 1_000, noNaN: true }), {
      minLength: 1,
      maxLength: 40,
    }),
    floor: fc.constantFrom(0.05, 0.2, 0.5, 1),
    cap: fc.constantFrom(1, 2, 5, 50),
  });

  test('at strength 1 is 1 / sum t^2/q, never below the floor, and shifts nothing', () => {
    fc.assert(
      fc.property(snapshots, ({ scores, floor, cap }) => {
        const found = resolved(scoredCases(scores, { floor, cap }));
        const { effectiveFraction, objectiveShift } = found.diagnostics;
        const second = sumOf(
          scores.length,
          (k) => found.targetUnits[k] ** 2 / found.drawUnits[k] / wholeUnits,
        );
        expect(Math.abs(effectiveFraction * second - 1)).toBeLessThan(1e-12);
        expect(effectiveFraction).toBeGreaterThanOrEqual(floor * (1 - 1e-9));
        expect(effectiveFraction).toBeLessThanOrEqual(1 + 1e-12);
        expect(objectiveShift).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  test('at strength 0 is 1', () => {
    fc.assert(
      fc.property(snapshots, ({ scores, floor, cap }) => {
        const { diagnostics } = resolved(scoredCases(scores, { floor, cap }, 0));
        expect(diagnostics.effectiveFraction).toBeCloseTo(1, 12);
        expect(diagnostics.objectiveShift).toBeCloseTo(diagnostics.divergence.totalVariation, 12);
      }),
      { numRuns: 50 },
    );
  });
});

describe('drawsUntilSeen', () => {
  test('is the smallest number of draws after which every case was probably seen', () => {
    const raw = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(raw, (values) => {
        const total = sumOf(values.length, (k) => values[k]);
        const q = Float64Array.from(values, (value) => value / total);
        const n = drawsUntilSeen(q);
        const unseen = (draws: number) => sumOf(q.length, (k) => (1 - q[k]) ** draws);
        expect(n).toBeGreaterThanOrEqual(1);
        expect(unseen(n)).toBeLessThanOrEqual(0.05 * (1 + 1e-9));
        if (n > 1) expect(unseen(n - 1)).toBeGreaterThan(0.05 * (1 - 1e-9));
      }),
    );
  });

  test.each([
    [[1], 1],
    [[0.5, 0.5], 6],
    [[0.999, 0.001], 2_995],
  ])('of %j is %d', (q, draws) => {
    expect(drawsUntilSeen(Float64Array.from(q))).toBe(draws);
  });
});
