// From scores to draw probabilities (METHOD.md sections 4 and 11): bounds, sum, uniqueness and
// hostile inputs, against an independent bisection.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AllocationInput, drawProbabilities } from '../../api/weights/allocation.ts';
import { picked } from '../../api/weights/case-table.ts';
import { sumOf } from '../../api/weights/sums.ts';
import { resolved, scoredCases } from './cases.ts';

type Input = Omit<AllocationInput, 'target' | 'logScores'> & { target: number[]; logs: number[] };

const allocate = ({ target, logs, ...rest }: Input) =>
  drawProbabilities({
    target: Float64Array.from(target),
    logScores: Float64Array.from(logs),
    ...rest,
  });

const normalised = (values: number[]) => {
  const total = sumOf(values.length, (k) => values[k]);
  return values.map((value) => value / total);
};
const uniform = (count: number) => new Array<number>(count).fill(1 / count);
const defaults = { temper: 1, floor: 0.2, cap: 5 };
const fromScores = (scores: number[], bounds: Partial<Input> = {}) =>
  allocate({ target: uniform(scores.length), logs: scores.map(Math.log), ...defaults, ...bounds });

const inputs: fc.Arbitrary<Input> = fc
  .array(
    fc.record({
      target: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      log: fc.oneof(
        { weight: 6, arbitrary: fc.double({ min: -3, max: 3, noNaN: true }) },
        { weight: 2, arbitrary: fc.double({ min: -690, max: 690, noNaN: true }) },
        { weight: 1, arbitrary: fc.constant(-Infinity) },
        { weight: 1, arbitrary: fc.constant(0) },
      ),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .chain((cases) =>
    fc.record({
      target: fc.constant(normalised(cases.map((one) => one.target))),
      logs: fc.constant(cases.map((one) => one.log)),
      temper: fc.constantFrom(1, 0.5, 2),
      floor: fc.constantFrom(1e-9, 0.05, 0.2, 0.9, 1),
      cap: fc.constantFrom(1, 1.1, 5, 100),
    }),
  );

const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(b), 1e-300);

// Bisection on ln lambda with clamped logarithms; nothing of it is in the product.
function bisected({ target, logs, temper, floor, cap }: Input): number[] {
  const ratio = (log: number, lambda: number) => {
    if (log === -Infinity) return floor;
    return Math.exp(Math.min(Math.max(lambda + temper * log, Math.log(floor)), Math.log(cap)));
  };
  const total = (lambda: number) => sumOf(target.length, (k) => target[k] * ratio(logs[k], lambda));
  let low = -3_000;
  let high = 3_000;
  for (let step = 0; step < 200; step++) {
    const middle = (low + high) / 2;
    if (total(middle) < 1) low = middle;
    else high = middle;
  }
  const q = target.map((t, k) => t * ratio(logs[k], high));
  const left = 1 - sumOf(q.length, (k) => q[k]);
  const zeros = sumOf(q.length, (k) => (logs[k] === -Infinity ? target[k] : 0));
  if (left < 1e-12 || zeros === 0) return q;
  return q.map((value, k) => (logs[k] === -Infinity ? value + (left * target[k]) / zeros : value));
}

describe('for any scores', () => {
  test('draw probabilities sum to 1 within floor and cap', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const q = allocate(input);
        expect(Math.abs(sumOf(q.length, (k) => q[k]) - 1)).toBeLessThan(1e-12);
        input.target.forEach((t, k) => {
          expect(q[k]).toBeGreaterThanOrEqual(input.floor * t * (1 - 1e-12));
          expect(q[k]).toBeLessThanOrEqual(input.cap * t * (1 + 1e-12));
        });
      }),
      { numRuns: 400 },
    );
  });

  test('they are what a bisection finds: the solution is unique', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const q = allocate(input);
        const other = bisected(input);
        for (let k = 0; k < q.length; k++) expect(relative(q[k], other[k])).toBeLessThan(1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test('between the bounds they are proportional to t s^temper', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const q = allocate(input);
        const free = input.target.flatMap((t, k) => {
          const inside = q[k] > input.floor * t * 1.0001 && q[k] < input.cap * t * 0.9999;
          return inside && input.logs[k] > -Infinity ? [k] : [];
        });
        const scale = (k: number) =>
          Math.log(q[k] / input.target[k]) - input.temper * input.logs[k];
        for (const k of free) expect(Math.abs(scale(k) - scale(free[0]))).toBeLessThan(1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test('one factor on all scores changes nothing', () => {
    fc.assert(
      fc.property(inputs, fc.double({ min: -50, max: 50, noNaN: true }), (input, shift) => {
        const q = allocate(input);
        const shifted = allocate({ ...input, logs: input.logs.map((log) => log + shift) });
        for (let k = 0; k < q.length; k++) expect(relative(shifted[k], q[k])).toBeLessThan(1e-9);
      }),
      { numRuns: 200 },
    );
  });

  test('the order of upload changes no unit', () => {
    const scores = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 2 });
    fc.assert(
      fc.property(scores, fc.integer(), (values, seed) => {
        const input = scoredCases(values);
        const order = Uint32Array.from(values, (_, k) => k);
        const key = (k: number) => Math.imul(k + 1, seed | 1) >>> 0;
        order.sort((a, b) => key(a) - key(b));
        const straight = resolved(input);
        const shuffled = resolved({ ...input, cases: picked(input.cases, order) });
        expect(shuffled.ids).toEqual(straight.ids);
        expect(shuffled.targetUnits).toEqual(straight.targetUnits);
        expect(shuffled.drawUnits).toEqual(straight.drawUnits);
        expect(shuffled.lossFactors).toEqual(straight.lossFactors);
      }),
      { numRuns: 60 },
    );
  });
});

describe('hostile scores', () => {
  test('one huge score stops at the cap, where clipping and renormalising would not', () => {
    const q = fromScores([1e9, ...new Array<number>(199).fill(1)]);
    expect(q[0] * 200).toBeCloseTo(5, 12);
    expect(q[1] * 199).toBeCloseTo(1 - 5 / 200, 12);
  });

  test.each([
    ['all zero', [0, 0, 0, 0]],
    ['all equal', [7, 7, 7, 7]],
    ['all tiny and equal', [1e-300, 1e-300, 1e-300, 1e-300]],
    ['one case', [123]],
    ['one case of score zero', [0]],
  ])('%s: the draw probabilities are the target', (_, scores) => {
    const target = normalised(scores.map((_score, k) => k + 1));
    const q = allocate({ target, logs: scores.map(Math.log), ...defaults });
    for (let k = 0; k < q.length; k++) expect(relative(q[k], target[k])).toBeLessThan(1e-15);
  });

  test('a score of zero gets the floor', () => {
    const q = fromScores([0, 1, 1, 1]);
    expect(q[0]).toBeCloseTo(0.05, 15);
    expect(q[1]).toBeCloseTo(0.95 / 3, 15);
  });

  test('scored cases at the cap leave the rest to the zeros in proportion to the target', () => {
    const target = [0.1, 0.3, 0.6];
    const q = allocate({ target, logs: [0, -Infinity, -Infinity], ...defaults, cap: 2 });
    expect(q[0]).toBeCloseTo(0.2, 15);
    expect(q[1]).toBeCloseTo(0.8 / 3, 14);
    expect(q[2]).toBeCloseTo(1.6 / 3, 14);
  });

  test('zeros are the limit of tiny scores', () => {
    const zeros = fromScores([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const tiny = fromScores([1, ...new Array<number>(9).fill(1e-280)]);
    for (let k = 0; k < 10; k++) expect(relative(tiny[k], zeros[k])).toBeLessThan(1e-12);
  });

  test('1e-300 beside 1e300 neither overflows nor collapses', () => {
    const q = fromScores([1e-300, 1e300], { floor: 1e-9, cap: 1e6, temper: 1 });
    expect(q[0]).toBeCloseTo(5e-10, 22);
    expect(q[1]).toBeCloseTo(1 - 5e-10, 15);
  });

  test('among tiny scores the ratios still hold', () => {
    const q = fromScores([1e-300, 2e-300, 3e-300], { cap: 100 });
    expect([...q]).toEqual([1 / 6, 2 / 6, 3 / 6].map((value) => expect.closeTo(value, 12)));
  });

  test('a score of 1e300 at its cap does not hide the ratios among 1e-300', () => {
    const q = fromScores([1e300, ...Array.from({ length: 19 }, (_, k) => (1 + (k % 2)) * 1e-300)]);
    expect(q[0]).toBeCloseTo(5 / 20, 14);
    expect(q[2] / q[1]).toBeCloseTo(2, 10);
    expect(q[1]).toBeCloseTo(0.75 / 28, 12);
  });

  test('temper is an exponent on the score', () => {
    const q = fromScores([1, 4, 16], { temper: 0.5, cap: 100 });
    expect([...q]).toEqual([1 / 7, 2 / 7, 4 / 7].map((value) => expect.closeTo(value, 14)));
  });

  test('a tiny floor lets a hopeless score fall to it', () => {
    const q = fromScores([1e-200, 1, 1], { floor: 1e-12 });
    expect(relative(q[0], 1e-12 / 3)).toBeLessThan(1e-12);
  });

  test.each([
    ['a floor of 1', { floor: 1, cap: 5 }],
    ['a cap of 1', { floor: 0.2, cap: 1 }],
  ])('%s leaves the target', (_, bounds) => {
    const target = normalised([1, 2, 3, 4, 5]);
    const logs = [0, 3, -Infinity, 600, -600];
    const q = allocate({ target, logs, temper: 1, ...bounds });
    for (let k = 0; k < q.length; k++) expect(relative(q[k], target[k])).toBeLessThan(1e-14);
  });
});
