// The plan of an epoch (METHOD.md section 6): counts, means over seeds, what makes another plan.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawKey, drawPlan, maxDraws, type PlanInput } from '../../api/weights/draws.ts';
import { wholeUnits } from '../../api/weights/units.ts';
import { resolved, scoredCases } from './cases.ts';
import { chiSquaredLimit, gStatistic } from './statistics.ts';

const digest = `sha256:${'5a'.repeat(32)}`;
const key = { digest, seed: 1, epoch: 0 };

function counts(plan: Uint32Array, caseCount: number): Uint32Array {
  const found = new Uint32Array(caseCount);
  for (const place of plan) found[place]++;
  return found;
}

const skewed = resolved(scoredCases([0, 1, 1, 2, 3, 5, 8, 13, 21, 34])).drawUnits;

describe('counts', () => {
  const scores = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), {
    minLength: 1,
    maxLength: 60,
  });

  test('each case is drawn floor(M q) or ceil(M q) times', () => {
    const draws = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(scores, draws, fc.nat(), fc.nat(), (values, drawsPerEpoch, seed, epoch) => {
        const { drawUnits } = resolved(scoredCases(values));
        const plan = drawPlan({ digest, drawUnits, seed, epoch, drawsPerEpoch });
        expect(plan).toHaveLength(drawsPerEpoch);
        counts(plan, values.length).forEach((count, k) => {
          // M Q / 2^52 in whole numbers.
          const exact = BigInt(drawsPerEpoch) * BigInt(drawUnits[k]);
          const low = exact / BigInt(wholeUnits);
          const high = low + (exact % BigInt(wholeUnits) === 0n ? 0n : 1n);
          expect(BigInt(count)).toBeGreaterThanOrEqual(low);
          expect(BigInt(count)).toBeLessThanOrEqual(high);
        });
      }),
      { numRuns: 150 },
    );
  });

  test('the mean over seeds is M q: a G-test at 1e-6', () => {
    const [drawsPerEpoch, seeds] = [7, 4_000];
    const total = new Float64Array(skewed.length);
    for (let seed = 0; seed < seeds; seed++) {
      for (const place of drawPlan({ ...key, drawUnits: skewed, seed, drawsPerEpoch })) {
        total[place]++;
      }
    }
    const expected = skewed.map((units) => (units / wholeUnits) * drawsPerEpoch * seeds);
    expect(gStatistic(total, expected)).toBeLessThan(chiSquaredLimit(skewed.length - 1));
  });

  test('single draws over epochs follow q: a G-test at 1e-6', () => {
    const total = new Float64Array(skewed.length);
    const epochs = 8_000;
    for (let epoch = 0; epoch < epochs; epoch++) {
      total[drawPlan({ ...key, epoch, drawUnits: skewed, drawsPerEpoch: 1 })[0]]++;
    }
    const expected = skewed.map((units) => (units / wholeUnits) * epochs);
    expect(gStatistic(total, expected)).toBeLessThan(chiSquaredLimit(skewed.length - 1));
  });

  test('every place of the plan follows q too: the picks are shuffled', () => {
    const total = new Float64Array(skewed.length);
    const seeds = 4_000;
    for (let seed = 0; seed < seeds; seed++) {
      total[drawPlan({ ...key, seed, drawUnits: skewed, drawsPerEpoch: 6 })[5]]++;
    }
    const expected = skewed.map((units) => (units / wholeUnits) * seeds);
    expect(gStatistic(total, expected)).toBeLessThan(chiSquaredLimit(skewed.length - 1));
  });

  test('the G-test can fail: it rejects a draw that ignores q', () => {
    const total = new Float64Array(skewed.length).fill(2_800);
    const expected = skewed.map((units) => (units / wholeUnits) * 28_000);
    expect(gStatistic(total, expected)).toBeGreaterThan(chiSquaredLimit(skewed.length - 1));
  });
});

describe('one plan', () => {
  const plan = (change: Partial<PlanInput>) =>
    [...drawPlan({ ...key, drawUnits: skewed, drawsPerEpoch: 40, ...change })].join();

  test('is the same whenever it is made', () => {
    expect(plan({})).toBe(plan({}));
  });

  test.each([
    ['epoch', { epoch: 1 }],
    ['seed', { seed: 2 }],
    ['snapshot', { digest: `sha256:${'5b'.repeat(32)}` }],
  ])('another %s makes another plan', (_, change) => {
    expect(plan(change)).not.toBe(plan({}));
  });

  test('seed and epoch do not run into each other', () => {
    expect(drawKey({ digest, seed: 1, epoch: 23 })).not.toEqual(
      drawKey({ digest, seed: 12, epoch: 3 }),
    );
  });

  test('of one draw picks one case', () => {
    expect(plan({ drawsPerEpoch: 1 })).toMatch(/^\d$/);
  });

  test('of one case picks it each time', () => {
    expect(plan({ drawUnits: [wholeUnits], drawsPerEpoch: 5 })).toBe('0,0,0,0,0');
  });

  test('of many more draws than cases draws every case', () => {
    const found = drawPlan({ ...key, drawUnits: skewed, drawsPerEpoch: 10_000 });
    expect(Math.min(...counts(found, skewed.length))).toBeGreaterThanOrEqual(200);
  });

  test('takes the largest seed and epoch', () => {
    const most = Number.MAX_SAFE_INTEGER;
    expect(plan({ seed: most, epoch: most })).not.toBe(plan({ seed: most - 1, epoch: most }));
  });
});

describe('refused numbers', () => {
  test.each<[string, Partial<PlanInput>]>([
    ['no draws', { drawsPerEpoch: 0 }],
    ['a negative number of draws', { drawsPerEpoch: -1 }],
    ['a broken number of draws', { drawsPerEpoch: 1.5 }],
    ['more draws than are exact', { drawsPerEpoch: maxDraws + 1 }],
    ['NaN draws', { drawsPerEpoch: Number.NaN }],
    ['a negative seed', { seed: -1 }],
    ['a seed past 2^53 - 1', { seed: 2 ** 53 }],
    ['a broken seed', { seed: 0.5 }],
    ['a negative epoch', { epoch: -1 }],
    ['a broken epoch', { epoch: 0.5 }],
    ['units one short of 2^52', { drawUnits: [wholeUnits - 1] }],
    ['units one over 2^52', { drawUnits: [wholeUnits, 1] }],
    ['no cases', { drawUnits: [] }],
  ])('%s', (_, change) => {
    const input = { ...key, drawUnits: [wholeUnits], drawsPerEpoch: 4, ...change };
    expect(() => drawPlan(input)).toThrow(RangeError);
  });
});
