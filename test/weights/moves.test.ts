// What moved between two snapshots, against sums over maps that are written out here. Each wrong
// way of computing it is shown to be found.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lossFactors } from '../../api/weights/loss-factors.ts';
import {
  addedCases,
  distances,
  effectiveTotal,
  holds,
  largestMoves,
  objectiveTolerance,
  type PlacedNumbers,
} from '../../api/weights/moves.ts';
import { probabilityUnits, wholeUnits } from '../../api/weights/units.ts';

type Row = { ordinal: number; target: number; draw: number };

/** Numbers of cases with these proportions; `rows` stand in digest order. */
function placed(rows: Row[], strength = 1): PlacedNumbers {
  const share = (of: 'target' | 'draw') => {
    const total = rows.reduce((sum, row) => sum + row[of], 0);
    return probabilityUnits(Float64Array.from(rows, (row) => row[of] / total));
  };
  const [target, draw] = [share('target'), share('draw')];
  const factors = lossFactors(target, draw, strength);
  const length = Math.max(...rows.map((row) => row.ordinal)) + 1;
  const byOrdinal = (values: Float64Array) => {
    const all = new Float64Array(length);
    rows.forEach((row, k) => {
      all[row.ordinal] = values[k];
    });
    return all;
  };
  return {
    order: Int32Array.from(rows, (row) => row.ordinal),
    targetUnits: byOrdinal(target),
    drawUnits: byOrdinal(draw),
    lossFactors: byOrdinal(factors),
  };
}

const proportion = fc.double({ min: 0.1, max: 10, noNaN: true });
const side = fc
  .tuple(
    fc.uniqueArray(fc.record({ ordinal: fc.nat(30), target: proportion, draw: proportion }), {
      minLength: 1,
      maxLength: 20,
      selector: (row) => row.ordinal,
    }),
    fc.constantFrom(0, 0.5, 1),
  )
  .map(([rows, strength]) => placed(rows, strength));

type Measure = (numbers: PlacedNumbers) => Map<number, number>;
const measured =
  (numberOf: (numbers: PlacedNumbers, k: number) => number): Measure =>
  (numbers) =>
    new Map([...numbers.order].map((k) => [k, numberOf(numbers, k)]));
const draws = measured(({ drawUnits }, k) => drawUnits[k] / wholeUnits);
const targets = measured(({ targetUnits }, k) => targetUnits[k] / wholeUnits);
const effective: Measure = (numbers) => {
  const raw = [...numbers.order].map(
    (k) => [k, numbers.drawUnits[k] * numbers.lossFactors[k]] as const,
  );
  const total = raw.reduce((sum, [, value]) => sum + value, 0);
  return new Map(raw.map(([k, value]) => [k, value / total]));
};

/** Half the sum of differences over the union of two maps, added up plainly. */
function variation(measure: Measure, from: PlacedNumbers, to: PlacedNumbers): number {
  const [a, b] = [measure(from), measure(to)];
  let sum = 0;
  for (const k of new Set([...a.keys(), ...b.keys()])) {
    sum += Math.abs((a.get(k) ?? 0) - (b.get(k) ?? 0));
  }
  return sum / 2;
}

type Distances = typeof distances;

function holdsAsWritten(candidate: Distances): void {
  fc.assert(
    fc.property(side, side, (from, to) => {
      const found = candidate({ from, to });
      expect(found.totalVariation).toBeCloseTo(variation(draws, from, to), 12);
      expect(found.targetVariation).toBeCloseTo(variation(targets, from, to), 12);
      expect(found.effectiveTargetVariation).toBeCloseTo(variation(effective, from, to), 12);
    }),
  );
}

describe('distances', () => {
  test('are half the sums of differences over the union of cases', () => {
    holdsAsWritten(distances);
  });

  test('are all zero from a snapshot to itself, and nothing moved', () => {
    fc.assert(
      fc.property(side, (one) => {
        const sides = { from: one, to: one };
        expect(distances(sides)).toEqual({
          totalVariation: 0,
          targetVariation: 0,
          effectiveTargetVariation: 0,
          objectiveChanged: false,
        });
        expect(largestMoves(sides, 10)).toEqual([]);
        expect(addedCases(sides, 10)).toEqual({ first: [], count: 0 });
      }),
    );
  });

  test('are the same in both directions, and 1 where no case is shared', () => {
    fc.assert(
      fc.property(side, side, (from, to) => {
        const there = distances({ from, to });
        const back = distances({ from: to, to: from });
        expect(back.totalVariation).toBeCloseTo(there.totalVariation, 14);
        expect(back.targetVariation).toBeCloseTo(there.targetVariation, 14);
        expect(back.effectiveTargetVariation).toBeCloseTo(there.effectiveTargetVariation, 14);
        expect(back.objectiveChanged).toBe(there.objectiveChanged);
        if ([...from.order].some((k) => holds(to, k))) return;
        expect(there.totalVariation).toBeCloseTo(1, 14);
      }),
    );
  });

  test.each<[string, Distances]>([
    [
      'counts only shared cases',
      ({ from, to }) => {
        const shared = from.order.filter((k) => holds(to, k));
        return distances({ from: { ...from, order: shared }, to: { ...to, order: shared } });
      },
    ],
    [
      'leaves out the half',
      (sides) => {
        const found = distances(sides);
        return { ...found, totalVariation: 2 * found.totalVariation };
      },
    ],
    [
      'takes the target for the effective target',
      (sides) => {
        const found = distances(sides);
        return { ...found, effectiveTargetVariation: found.targetVariation };
      },
    ],
  ])('that %s would be found', (_, wrong) => {
    expect(() => holdsAsWritten(wrong)).toThrow();
  });
});

describe('the objective', () => {
  const cases = (draw: (k: number) => number) =>
    Array.from({ length: 12 }, (_, k) => ({ ordinal: k, target: 1, draw: draw(k) }));

  test('is unchanged by other draws under full correction, and changed without', () => {
    const [plain, steep] = [() => 1, (k: number) => 1 + k];
    const full = { from: placed(cases(plain)), to: placed(cases(steep)) };
    expect(distances(full).totalVariation).toBeGreaterThan(0.2);
    expect(distances(full).objectiveChanged).toBe(false);
    const none = { from: placed(cases(plain), 0), to: placed(cases(steep), 0) };
    expect(distances(none)).toMatchObject({ targetVariation: 0, objectiveChanged: true });
    expect(distances(none).effectiveTargetVariation).toBe(distances(none).totalVariation);
  });

  test('is changed by more units than the tolerance, and not by as many', () => {
    const from = placed(cases(() => 1));
    const moved = (units: number) => {
      const targetUnits = from.targetUnits.slice();
      targetUnits[3] += units;
      targetUnits[4] -= units;
      return distances({ from, to: { ...from, targetUnits } }).objectiveChanged;
    };
    expect(moved(objectiveTolerance)).toBe(false);
    expect(moved(objectiveTolerance + 1)).toBe(true);
  });

  test('has effective targets that sum to 1', () => {
    const numbers = placed(
      cases((k) => 1 + k),
      0.5,
    );
    const sum = [...effective(numbers).values()].reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(1, 12);
    expect(effectiveTotal(numbers)).toBeCloseTo(1, 12);
  });
});

describe('the largest moves', () => {
  test('are those of a plain sort, ties in digest order', () => {
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 5 }), (from, to, count) => {
        const change = (k: number) => Math.abs((from.drawUnits[k] ?? 0) - (to.drawUnits[k] ?? 0));
        const sorted = (ordinals: number[]) =>
          ordinals
            .map((ordinal) => ({ ordinal, change: change(ordinal) }))
            .filter((move) => move.change > 0)
            .sort((a, b) => b.change - a.change)
            .slice(0, count);
        const alone = [...to.order].filter((k) => !holds(from, k));
        const expected = [...sorted([...from.order]), ...sorted(alone)];
        expect(largestMoves({ from, to }, count)).toEqual(expected);
        expect(addedCases({ from, to }, 2)).toEqual({
          first: alone.slice(0, 2),
          count: alone.length,
        });
      }),
    );
  });
});
