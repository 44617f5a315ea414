// Plans from made-up fingerprints: known data sets, and what must hold for every one.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { trainingPlanSchema } from '../../../api/contract/plans.ts';
import type { Size } from '../../../trainer/nifti.ts';
import {
  type Fingerprint,
  type PlanSettings,
  planLines,
  planTraining,
} from '../../../trainer/planning/plan.ts';
import { exitCodes, TrainerError } from '../../../trainer/settings.ts';

const settings: PlanSettings = { batchSize: 2, memoryMiB: 2048, patch: null };

function fingerprintOf(shape: Size, spacing: Size, count = 3): Fingerprint {
  const grids = Array.from({ length: count }, () => ({ shape, spacing }));
  return { grids, normalization: [{ kind: 'zScore' }] };
}

function planOf(shape: Size, spacing: Size, more: Partial<PlanSettings> = {}) {
  const fingerprint = fingerprintOf(shape, spacing);
  return planTraining({ fingerprint, settings: { ...settings, ...more }, classes: 3 });
}

function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TrainerError);
    expect((error as TrainerError).exitCode).toBe(exitCodes.configuration);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

describe('known data sets', () => {
  test('the hippocampus is not resampled and is seen whole by three levels', () => {
    expect(planOf([36, 50, 35], [1, 1, 1])).toEqual({
      spacing: [1, 1, 1],
      medianShape: [36, 50, 35],
      cases: { training: 3, resampled: 0 },
      patch: [36, 52, 36],
      features: [8, 16, 32],
      kernels: [
        [3, 3, 3],
        [3, 3, 3],
        [3, 3, 3],
      ],
      strides: [
        [1, 1, 1],
        [2, 2, 2],
        [2, 2, 2],
      ],
      normalization: [{ kind: 'zScore' }],
      memoryMiB: { estimate: expect.any(Number), budget: 2048 },
      overridden: [],
    });
  });

  test('thick slices: the first kernels and strides leave the depth alone', () => {
    const { kernels, strides, patch } = planOf([20, 320, 320], [4, 0.6, 0.6]);
    expect(kernels).toEqual([
      [1, 3, 3],
      [1, 3, 3],
      [3, 3, 3],
    ]);
    expect(strides).toEqual([
      [1, 1, 1],
      [1, 2, 2],
      [1, 2, 2],
    ]);
    expect(patch[0] * patch[1] * patch[2]).toBeLessThanOrEqual(64 ** 3);
    expect(patch[1]).toBeGreaterThan(64);
  });

  test('a larger budget gives a wider, deeper network with a larger patch, at most nnU-Net-like', () => {
    const small = planOf([200, 400, 400], [1, 1, 1]);
    const middle = planOf([200, 400, 400], [1, 1, 1], { memoryMiB: 8192 });
    const large = planOf([200, 400, 400], [1, 1, 1], { memoryMiB: 32_768 });
    expect([small, middle, large].map(({ features }) => features)).toEqual([
      [8, 16, 32],
      [16, 32, 64, 128, 256],
      [32, 64, 128, 256, 320, 320],
    ]);
    const voxels = [small, middle, large].map(({ patch: [z, y, x] }) => z * y * x);
    expect(voxels[1]).toBeGreaterThan(2 * voxels[0]!);
    expect(voxels[2]).toBeGreaterThan(voxels[1]!);
    expect(large.memoryMiB.estimate).toBeGreaterThan(32_768 / 2);
  });

  test('images of one slice are planned flat', () => {
    const plan = planOf([1, 400, 500], [1, 0.5, 0.5]);
    expect(plan.patch[0]).toBe(1);
    expect(plan.kernels.every(([depth]) => depth === 1)).toBe(true);
    expect(plan.strides.every(([depth]) => depth === 1)).toBe(true);
    expect(plan.patch).toEqual([1, 400, 500]);
    expect(planOf([1, 4000, 4000], [1, 0.5, 0.5]).patch).toEqual([1, 500, 500]);
  });
});

describe('target spacing', () => {
  const of = (grids: Fingerprint['grids']) =>
    planTraining({
      fingerprint: { grids, normalization: [{ kind: 'zScore' }] },
      settings,
      classes: 2,
    });

  test('is the median of each axis', () => {
    const shape: Size = [50, 50, 50];
    const grids = [1, 1.25, 1.5, 1.75].map((mm) => ({
      shape,
      spacing: [mm, 1, 2 - mm / 2] as Size,
    }));
    const { spacing, cases } = of(grids);
    expect(spacing).toEqual([1.375, 1, 1.3125]);
    expect(cases).toEqual({ training: 4, resampled: 4 });
  });

  test('of thick slices is their tenth percentile, but not finer than the plane', () => {
    const grid = (mm: number): Fingerprint['grids'][number] => ({
      shape: [20, 256, 256],
      spacing: [mm, 0.8, 0.8],
    });
    expect(of([4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 2].map(grid)).spacing).toEqual([4, 0.8, 0.8]);
    const fine = of([0.5, 0.5, 5, 5, 5, 5, 5].map(grid)).spacing;
    expect(fine[0]).toBeCloseTo(0.8, 5);
    expect(fine[0]).toBeGreaterThan(0.8);
  });

  test('of slices that are not so thick, or that are many, stays the median', () => {
    const grids = [2, 2.3, 2.4].map((mm) => ({
      shape: [20, 256, 256] as Size,
      spacing: [mm, 0.8, 0.8] as Size,
    }));
    expect(of(grids).spacing[0]).toBe(2.3);
    const many = [4, 5, 6].map((mm) => ({
      shape: [100, 256, 256] as Size,
      spacing: [mm, 0.8, 0.8] as Size,
    }));
    expect(of(many).spacing[0]).toBe(5);
  });
});

describe('settings', () => {
  test('take the place of every part they name', () => {
    const kernels: Size[] = [
      [1, 3, 3],
      [3, 3, 3],
    ];
    const strides: Size[] = [
      [1, 1, 1],
      [1, 2, 2],
    ];
    const features = [4, 6];
    const asked = {
      spacing: [2, 1, 1] as Size,
      patch: [7, 8, 10] as Size,
      features,
      kernels,
      strides,
    };
    expect(planOf([30, 30, 30], [1, 1, 1], asked)).toMatchObject({
      ...asked,
      medianShape: [15, 30, 30],
      cases: { training: 3, resampled: 3 },
      overridden: ['spacing', 'patch', 'features', 'kernels', 'strides'],
    });
  });

  test('a network of more levels than a patch has voxels for goes on halving what is left', () => {
    const { strides } = planOf([16, 16, 16], [1, 1, 1], { features: [2, 4, 8, 16] });
    expect(strides).toEqual([
      [1, 1, 1],
      [2, 2, 2],
      [2, 2, 2],
      [2, 2, 2],
    ]);
    const says = refusalOf(() => planOf([4, 4, 4], [1, 1, 1], { features: [2, 4, 8, 16] }));
    expect(says).toContain('settings.network: a patch of 4 x 4 x 4 can be halved for 3 levels');
  });

  test('a patch that the network cannot halve, and a budget for no patch at all, are refused', () => {
    expect(refusalOf(() => planOf([64, 64, 64], [1, 1, 1], { patch: [30, 32, 32] }))).toBe(
      'settings.patch: 30 x 32 x 32 must be multiples of 4 x 4 x 4, ' +
        'by which the network makes it smaller',
    );
    const says = refusalOf(() => planOf([64, 64, 64], [1, 1, 1], { memoryMiB: 1, batchSize: 64 }));
    expect(says).toContain('settings.memoryMiB: 1 MiB are too few for one step');
    const strides: Size[] = [
      [2, 2, 2],
      [2, 2, 2],
    ];
    const first = refusalOf(() => planOf([8, 8, 8], [1, 1, 1], { features: [2, 4], strides }));
    expect(first).toContain('settings.network.strides');
  });

  test('a patch that was asked for may need more than the budget, and the lines say so', () => {
    const plan = planOf([200, 200, 200], [1, 1, 1], { patch: [200, 200, 200], memoryMiB: 100 });
    expect(plan.patch).toEqual([200, 200, 200]);
    expect(planLines(plan, ['MRI']).join('\n')).toContain(
      '100 MiB for a step: MORE than the budget',
    );
  });
});

const side = fc.integer({ min: 1, max: 700 });
const mm = fc.double({ min: 0.1, max: 10, noNaN: true });
const anyPlan = fc.record({
  shape: fc.tuple(side, side, side) as fc.Arbitrary<Size>,
  spacing: fc.tuple(mm, mm, mm) as fc.Arbitrary<Size>,
  memoryMiB: fc.constantFrom(512, 2048, 4096, 12_000, 40_000),
  batchSize: fc.integer({ min: 1, max: 6 }),
  features: fc.constantFrom<number[] | undefined>(undefined, undefined, [4], [4, 8], [8, 16, 32]),
});

test('a side that is shortened keeps four voxels at the coarsest level', () => {
  const plan = planOf([57, 125, 148], [1.6, 0.1, 0.4], { memoryMiB: 40_000 });
  const divisors = [0, 1, 2].map((axis) => plan.strides.reduce((all, one) => all * one[axis]!, 1));
  const coarsest = plan.patch.map((length, axis) => length / divisors[axis]!);
  expect(coarsest.filter((size, axis) => divisors[axis]! > 1 && size < 4)).toEqual([]);
});

test('every plan divides, stays in its budget and keeps feature maps of four voxels', () => {
  fc.assert(
    fc.property(anyPlan, ({ shape, spacing, ...more }) => {
      let plan: ReturnType<typeof planOf>;
      try {
        plan = planOf(shape, spacing, more);
      } catch (error) {
        // Only an explicit number of levels may be too much for a small image.
        expect((error as Error).message).toMatch(/settings.network|MiB are too few/);
        expect(more.features !== undefined || more.memoryMiB === 512).toBe(true);
        return;
      }
      expect(trainingPlanSchema.parse(plan)).toEqual(plan);
      expect(plan.memoryMiB.estimate).toBeLessThanOrEqual(more.memoryMiB);
      expect(plan.kernels.length).toBe(plan.features.length);
      expect(plan.strides.length).toBe(plan.features.length);
      for (const axis of [0, 1, 2]) {
        const divisor = plan.strides.reduce((product, stride) => product * stride[axis]!, 1);
        expect(plan.patch[axis]! % divisor).toBe(0);
        if (more.features === undefined && divisor > 1) {
          expect(plan.patch[axis]! / divisor).toBeGreaterThanOrEqual(4);
        }
        expect(plan.patch[axis]!).toBeLessThan(plan.medianShape[axis]! + divisor);
        if (plan.medianShape[axis] === 1) {
          expect(plan.kernels.every((kernel) => kernel[axis] === 1)).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('the lines say what is planned', () => {
  const plan = planTraining({
    fingerprint: {
      ...fingerprintOf([20, 320, 320], [4, 0.6, 0.6]),
      normalization: [
        { kind: 'ct', low: -100, high: 250.123456, mean: 80, deviation: 40 },
        { kind: 'none' },
      ],
    },
    settings: { ...settings, features: [4, 8] },
    classes: 2,
  });
  expect(planLines(plan, ['CT', 'PET'])).toEqual([
    'plan: spacing 4 x 0.6 x 0.6 mm, median case 20 x 320 x 320; ' +
      '0 of 3 training cases are resampled',
    `plan: patch ${plan.patch.join(' x ')}, features per level 4 of 1x3x3, ` +
      '8 of 3x3x3 after stride 1x2x2',
    `plan: about ${plan.memoryMiB.estimate} of 2048 MiB for a step`,
    'plan: channels CT ct, clipped to -100 ... 250.12, mean 80 (40); PET none',
    'plan: from the settings: features',
  ]);
});
