// The correction of METHOD.md section 5: expectations under the draws are expectations under the
// target, by full enumeration.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lossFactors } from '../../api/weights/loss-factors.ts';
import { sumOf } from '../../api/weights/sums.ts';
import { wholeUnits } from '../../api/weights/units.ts';
import { resolved, scoredCases } from './cases.ts';

const snapshots = fc.record({
  scores: fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 50 }),
  floor: fc.constantFrom(0.05, 0.2, 0.9),
  cap: fc.constantFrom(1.5, 5, 50),
  losses: fc.array(fc.double({ min: -10, max: 10, noNaN: true }), {
    minLength: 50,
    maxLength: 50,
  }),
});

// Rules whose target is not uniform either: odd scores count double.
function skewed(scores: number[], sampling: { floor: number; cap: number }, strength = 1) {
  const input = scoredCases(scores, sampling, strength);
  const when = 'case.score > 50.0';
  const terms = [{ name: 'high', kind: 'match' as const, when, factor: 2, otherwise: 1 }];
  return resolved({ ...input, rules: { ...input.rules, target: { terms } } });
}

const share = (units: Float64Array) => units.map((value) => value / wholeUnits);

describe('at strength 1', () => {
  test('sum q w f is sum t f for any f, to 1e-12', () => {
    fc.assert(
      fc.property(snapshots, ({ scores, floor, cap, losses }) => {
        const found = skewed(scores, { floor, cap });
        const [t, q] = [share(found.targetUnits), share(found.drawUnits)];
        const count = scores.length;
        const drawn = sumOf(count, (k) => q[k] * found.lossFactors[k] * losses[k]);
        const meant = sumOf(count, (k) => t[k] * losses[k]);
        expect(Math.abs(drawn - meant)).toBeLessThan(1e-12 * 10);
        expect(Math.abs(drawn - meant)).toBeLessThan(
          1e-12 *
            Math.max(
              1,
              sumOf(count, (k) => t[k] * Math.abs(losses[k])),
            ),
        );
      }),
      { numRuns: 150 },
    );
  });

  test('factors lie within 1/cap and 1/floor', () => {
    fc.assert(
      fc.property(snapshots, ({ scores, floor, cap }) => {
        for (const factor of skewed(scores, { floor, cap }).lossFactors) {
          expect(factor).toBeGreaterThanOrEqual((1 / cap) * (1 - 1e-9));
          expect(factor).toBeLessThanOrEqual((1 / floor) * (1 + 1e-9));
        }
      }),
      { numRuns: 150 },
    );
  });

  test('the second moment of w f is at most that of f under the target, over the floor', () => {
    fc.assert(
      fc.property(snapshots, ({ scores, floor, cap, losses }) => {
        const found = skewed(scores, { floor, cap });
        const [t, q] = [share(found.targetUnits), share(found.drawUnits)];
        const drawn = sumOf(q.length, (k) => q[k] * (found.lossFactors[k] * losses[k]) ** 2);
        const meant = sumOf(q.length, (k) => t[k] * losses[k] ** 2);
        // Squares of tiny losses lose their digits below the normal doubles.
        expect(drawn).toBeLessThanOrEqual((meant / floor) * (1 + 1e-9) + 2 ** -1022);
      }),
      { numRuns: 100 },
    );
  });

  test('a factor is one IEEE division of the units', () => {
    const [target, draw] = [Float64Array.of(3 * 2 ** 40, 5), Float64Array.of(7, 11)];
    expect(lossFactors(target, draw, 1)).toEqual(Float64Array.of((3 * 2 ** 40) / 7, 5 / 11));
  });
});

describe('at other strengths', () => {
  test('strength 0 leaves every loss as it is', () => {
    expect(lossFactors(Float64Array.of(1, 3), Float64Array.of(2, 2), 0)).toEqual(
      Float64Array.of(1, 1),
    );
  });

  test('between 0 and 1 the mean factor of a draw is 1', () => {
    const strengths = fc.double({ min: 0.01, max: 0.99, noNaN: true });
    fc.assert(
      fc.property(snapshots, strengths, ({ scores, floor, cap }, strength) => {
        const found = skewed(scores, { floor, cap }, strength);
        const q = share(found.drawUnits);
        const mean = sumOf(q.length, (k) => q[k] * found.lossFactors[k]);
        expect(Math.abs(mean - 1)).toBeLessThan(1e-12);
      }),
      { numRuns: 150 },
    );
  });

  test('strength one half by hand: t (1/2, 1/2) under q (1/5, 4/5)', () => {
    const target = Float64Array.of(0.5 * wholeUnits, 0.5 * wholeUnits);
    const draw = Float64Array.of(0.2 * wholeUnits, 0.8 * wholeUnits);
    const [a, b] = lossFactors(target, draw, 0.5);
    const scale = 0.2 * Math.sqrt(2.5) + 0.8 * Math.sqrt(0.625);
    expect(a).toBeCloseTo(Math.sqrt(2.5) / scale, 13);
    expect(b).toBeCloseTo(Math.sqrt(0.625) / scale, 13);
  });
});
