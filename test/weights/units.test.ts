// Units out of 2^52 by largest remainder, and compensated sums (METHOD.md section 5).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sumOf } from '../../api/weights/sums.ts';
import { minUnits, probabilityUnits, unitSum, wholeUnits } from '../../api/weights/units.ts';

const units = (probabilities: number[]) => [...probabilityUnits(Float64Array.from(probabilities))];

describe('probabilityUnits', () => {
  test('for any probabilities the sum is exactly 2^52 and each is within 4 units', () => {
    const values = fc.array(fc.double({ min: 1e-9, max: 1, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(values, (raw) => {
        const total = sumOf(raw.length, (k) => raw[k]);
        const probabilities = raw.map((value) => value / total);
        const found = units(probabilities);
        expect(unitSum(found)).toBe(wholeUnits);
        found.forEach((value, k) => {
          expect(Number.isInteger(value)).toBe(true);
          expect(Math.abs(value - probabilities[k] * wholeUnits)).toBeLessThanOrEqual(4);
        });
      }),
      { numRuns: 200 },
    );
  });

  test('missing units go to the first ids where remainders tie', () => {
    const third = (wholeUnits - 1) / 3;
    expect(units([1 / 3, 1 / 3, 1 / 3])).toEqual([third + 1, third, third]);
  });

  test('missing units go to the largest remainders, then to the first id of those that tie', () => {
    const quarter = wholeUnits / 4;
    const exact = [quarter + 0.5, quarter + 0.75, quarter - 1.75, quarter + 0.5];
    expect(units(exact.map((value) => value / wholeUnits))).toEqual([
      quarter + 1,
      quarter + 1,
      quarter - 2,
      quarter,
    ]);
  });

  test('surplus units are taken from the smallest remainders, ties by id', () => {
    const quarter = wholeUnits / 4;
    const probabilities = [0.25 + 2 ** -52, 0.25, 0.25, 0.25 + 2 ** -53];
    expect(units(probabilities)).toEqual([quarter, quarter, quarter, quarter]);
    expect(units([0.25, 0.25, 0.25, 0.25 + 2 ** -52])).toEqual([
      quarter - 1,
      quarter,
      quarter,
      quarter + 1,
    ]);
  });

  test('a surplus unit is never taken from a case that has none', () => {
    expect(units([0, 1 + 2 ** -52])).toEqual([0, wholeUnits]);
  });

  test('one case has all units', () => {
    expect(units([1])).toEqual([wholeUnits]);
  });

  test.each([
    ['half of the mass', [0.25, 0.25]],
    ['too much mass', [0.75, 0.75]],
    ['a NaN', [Number.NaN, 1]],
    ['no case', []],
  ])('refuses probabilities with %s', (_, probabilities) => {
    expect(() => units(probabilities)).toThrow(RangeError);
  });

  test('the least that means something is 2^20 units', () => {
    expect([minUnits, wholeUnits]).toEqual([2 ** 20, 2 ** 52]);
  });
});

describe('sums', () => {
  test('a small term between two large ones is not lost', () => {
    const terms = [1, 1e100, 1, -1e100];
    expect(terms.reduce((a, b) => a + b)).toBe(0);
    expect(sumOf(4, (k) => terms[k])).toBe(2);
  });

  test('a million tenths make 100,000', () => {
    expect(sumOf(1_000_000, () => 0.1)).toBe(100_000);
  });

  test('units sum exactly', () => {
    expect(unitSum([wholeUnits - 1, 1])).toBe(wholeUnits);
    expect(unitSum([])).toBe(0);
  });
});
