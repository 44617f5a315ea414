// Child snapshots (METHOD.md section 8): the target never moves, the draws keep sums and bounds,
// and no adaptive step goes further than it may. Measured on the integers.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawProbabilities } from '../../api/weights/allocation.ts';
import {
  adaptiveChild,
  rampChild,
  rampShare,
  revertChild,
  unitShift,
} from '../../api/weights/children.ts';
import { probabilityUnits, unitSum, wholeUnits } from '../../api/weights/units.ts';

type Given = { target: number[]; before: number[]; after: number[]; floor: number; cap: number };

const given: fc.Arbitrary<Given> = fc
  .array(
    fc.record({
      target: fc.double({ min: 0.01, max: 100, noNaN: true }),
      before: fc.double({ min: -4, max: 4, noNaN: true }),
      after: fc.oneof(fc.double({ min: -4, max: 4, noNaN: true }), fc.constant(-Infinity)),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .chain((cases) =>
    fc.record({
      target: fc.constant(cases.map((one) => one.target)),
      before: fc.constant(cases.map((one) => one.before)),
      after: fc.constant(cases.map((one) => one.after)),
      floor: fc.double({ min: 0.01, max: 1, noNaN: true }),
      cap: fc.double({ min: 1, max: 20, noNaN: true }),
    }),
  );

function unitsOf({ target: raw, before, after, floor, cap }: Given) {
  const total = raw.reduce((a, b) => a + b);
  const target = Float64Array.from(raw, (value) => value / total);
  const draw = (logs: number[]) =>
    probabilityUnits(
      drawProbabilities({ target, logScores: Float64Array.from(logs), temper: 1, floor, cap }),
    );
  return { targetUnits: probabilityUnits(target), parent: draw(before), next: draw(after) };
}

// Two roundings, of the parts and of the mix, each within a few units of the bound.
function expectBounds(drawUnits: Float64Array, targetUnits: Float64Array, { floor, cap }: Given) {
  expect(unitSum(drawUnits)).toBe(wholeUnits);
  for (let k = 0; k < drawUnits.length; k++) {
    const slack = 16 + cap * (2 + targetUnits[k] * 1e-14);
    expect(drawUnits[k]).toBeGreaterThanOrEqual(floor * targetUnits[k] - slack);
    expect(drawUnits[k]).toBeLessThanOrEqual(cap * targetUnits[k] + slack);
  }
}

describe('an adaptive child', () => {
  test('keeps target, sum, floor and cap, and moves by at most maxShift on the integers', () => {
    const shifts = fc.oneof(
      fc.double({ min: 1e-6, max: 1, noNaN: true }),
      fc.constantFrom(0.2, 0.01, 2 ** -52, 1e-15),
    );
    fc.assert(
      fc.property(given, shifts, (one, maxShift) => {
        const { targetUnits, parent, next } = unitsOf(one);
        const input = { targetUnits, parentUnits: parent, resolvedUnits: next, maxShift };
        const child = adaptiveChild({ ...input, strength: 1 });
        expect(child.targetUnits).toEqual(targetUnits);
        expectBounds(child.drawUnits, targetUnits, one);
        expect(unitShift(parent, child.drawUnits)).toBeLessThanOrEqual(maxShift);
        child.lossFactors.forEach((factor, k) => {
          expect(factor).toBe(targetUnits[k] / child.drawUnits[k]);
        });
      }),
    );
  });

  test('goes all the way where that is near enough, and as far as it may where it is not', () => {
    fc.assert(
      fc.property(given, (one) => {
        const { targetUnits, parent, next } = unitsOf(one);
        const input = { targetUnits, parentUnits: parent, resolvedUnits: next, strength: 1 };
        const whole = unitShift(parent, next);
        expect(adaptiveChild({ ...input, maxShift: 1 }).drawUnits).toEqual(next);
        fc.pre(whole > 0.001);
        const child = adaptiveChild({ ...input, maxShift: whole / 3 });
        expect(unitShift(parent, child.drawUnits)).toBeGreaterThan(whole / 3 - 1e-9);
        expect(child.share).toBeCloseTo(1 / 3, 6);
      }),
    );
  });
});

describe('a stage of a ramp', () => {
  test('lies between target and final draws, with the bounds of both', () => {
    const shares = fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.5, 1));
    fc.assert(
      fc.property(given, shares, (one, share) => {
        const { targetUnits, parent: finalUnits } = unitsOf(one);
        const child = rampChild({ targetUnits, finalUnits, share, strength: 1 });
        expectBounds(child.drawUnits, targetUnits, one);
        child.drawUnits.forEach((units, k) => {
          const exact = (1 - share) * targetUnits[k] + share * finalUnits[k];
          expect(Math.abs(units - exact)).toBeLessThanOrEqual(4);
        });
        if (share === 0) expect(child.drawUnits).toEqual(targetUnits);
        if (share === 1) expect(child.drawUnits).toEqual(finalUnits);
      }),
    );
  });

  test('refuses a share that is none', () => {
    const units = Float64Array.of(wholeUnits);
    const input = { targetUnits: units, finalUnits: units, strength: 1 };
    for (const share of [-0.1, 1.1, Number.NaN]) {
      expect(() => rampChild({ ...input, share })).toThrow(`a share is 0 to 1, not ${share}`);
    }
  });

  test.each([
    [{ epochs: 4, stages: 2 }, [0, 0, 0.5, 0.5, 1, 1]],
    [{ epochs: 4, stages: 4 }, [0, 0.25, 0.5, 0.75, 1, 1]],
    [{ epochs: 2, stages: 10 }, [0, 0.5, 1, 1, 1, 1]],
    [{ epochs: 1, stages: 10 }, [0, 1, 1, 1, 1, 1]],
  ])('of %j rises as %j', (schedule, shares) => {
    expect(shares.map((_, epoch) => rampShare(schedule, epoch))).toEqual(shares);
  });
});

test('a revert draws as its source did, with the factors of its own strength', () => {
  const targetUnits = Float64Array.of(wholeUnits / 2, wholeUnits / 2);
  const sourceUnits = Float64Array.of(wholeUnits / 4, (wholeUnits * 3) / 4);
  const child = revertChild({ targetUnits, sourceUnits, strength: 1 });
  expect(child.drawUnits).toEqual(sourceUnits);
  expect(child.drawUnits).not.toBe(sourceUnits);
  expect([...child.lossFactors]).toEqual([2, 2 / 3]);
  expect([...revertChild({ targetUnits, sourceUnits, strength: 0 }).lossFactors]).toEqual([1, 1]);
});
