// Resampling against numbers of scipy and scikit-image, and what must hold for every grid.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Size } from '../../../trainer/nifti.ts';
import {
  type Orders,
  ordersBetween,
  resampleArray,
  resampledShape,
  resampleLabels,
  thickAxis,
} from '../../../trainer/resampling/resample.ts';
import { resampleAxis } from '../../../trainer/resampling/spline.ts';

type Shapes = { shape: Size; newShape: Size };
const vectors = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8')) as {
  images: (Shapes & Record<'image' | 'nearest' | 'linear' | 'cubic' | 'resize', number[]>)[];
  thick: (Shapes & { image: number[]; resized: number[] })[];
  labels: (Shapes & { labels: number[]; resized: number[] })[];
};

const cubic: Orders = [3, 3, 3];
const linear: Orders = [1, 1, 1];
const nearest: Orders = [0, 0, 0];

function expectClose(found: Float32Array, wanted: number[]): void {
  expect(found.length).toBe(wanted.length);
  const worst = Math.max(...wanted.map((value, at) => Math.abs(value - found[at]!)));
  expect(worst).toBeLessThan(5e-6);
}

describe('numbers of scipy and scikit-image', () => {
  test.each(vectors.images)('an image of $shape on $newShape', (vector) => {
    const { shape, newShape } = vector;
    const image = Float32Array.from(vector.image);
    const resampled = (orders: Orders) =>
      resampleArray(image, { shape, channels: 1 }, newShape, orders);
    expectClose(resampled(nearest), vector.nearest);
    expectClose(resampled(linear), vector.linear);
    expectClose(resampled(cubic), vector.resize);
  });

  test.each(vectors.images)('splines from $shape to $newShape, not clipped', (vector) => {
    const { shape, newShape } = vector;
    let values = Float32Array.from(vector.image);
    const now = [...shape];
    for (const axis of [0, 1, 2]) {
      const outer = now.slice(0, axis).reduce((a, b) => a * b, 1);
      const inner = now.slice(axis + 1).reduce((a, b) => a * b, 1);
      const view = { outer, length: now[axis]!, inner };
      values = resampleAxis(values, view, newShape[axis]!, 3) as Float32Array<ArrayBuffer>;
      now[axis] = newShape[axis]!;
    }
    expectClose(values, vector.cubic);
  });

  test.each(vectors.thick)('thick slices: every slice for itself', (vector) => {
    const { shape, newShape, resized } = vector;
    const orders = ordersBetween([5, 1, 1], [2, 0.7, 1.2], 3);
    expect(orders).toEqual([0, 3, 3]);
    const image = Float32Array.from(vector.image);
    expectClose(resampleArray(image, { shape, channels: 1 }, newShape, orders), resized);
  });

  test.each(vectors.labels)('labels of $shape on $newShape', (vector) => {
    const { shape, newShape, resized } = vector;
    const labels = Uint8Array.from(vector.labels);
    expect([...resampleLabels(labels, shape, newShape, linear)]).toEqual(resized);
  });
});

const side = fc.integer({ min: 1, max: 6 });
const shapes = fc.record({
  shape: fc.tuple(side, side, side) as fc.Arbitrary<Size>,
  newShape: fc.tuple(side, side, side) as fc.Arbitrary<Size>,
});

test('the same shape answers the same array, of images and of labels', () => {
  const image = new Float32Array(24);
  expect(resampleArray(image, { shape: [2, 3, 4], channels: 1 }, [2, 3, 4], cubic)).toBe(image);
  const labels = new Uint8Array(24);
  expect(resampleLabels(labels, [2, 3, 4], [2, 3, 4], linear)).toBe(labels);
});

test('a constant stays constant, and every order stays within the range of the image', () => {
  fc.assert(
    fc.property(shapes, fc.array(fc.float({ noNaN: true, min: -9, max: 9 })), (grid, some) => {
      const { shape, newShape } = grid;
      const count = shape[0] * shape[1] * shape[2];
      const image = Float32Array.from({ length: count }, (_, at) => some[at % some.length] ?? 4);
      for (const orders of [nearest, linear, cubic]) {
        const found = resampleArray(image, { shape, channels: 1 }, newShape, orders);
        expect(found.length).toBe(newShape[0] * newShape[1] * newShape[2]);
        expect(Math.min(...found)).toBeGreaterThanOrEqual(Math.min(...image) - 1e-5);
        expect(Math.max(...found)).toBeLessThanOrEqual(Math.max(...image) + 1e-5);
      }
    }),
    { numRuns: 200 },
  );
});

test('channels are resampled each for itself', () => {
  const shape: Size = [2, 3, 4];
  const one = Float32Array.from({ length: 24 }, (_, at) => Math.sin(at));
  const two = Float32Array.from({ length: 24 }, (_, at) => 100 * Math.cos(at));
  const both = Float32Array.from({ length: 48 }, (_, at) => (at % 2 ? two : one)[at >> 1]!);
  const newShape: Size = [3, 5, 2];
  const found = resampleArray(both, { shape, channels: 2 }, newShape, cubic);
  const alone = (image: Float32Array) =>
    resampleArray(image, { shape, channels: 1 }, newShape, cubic);
  expect(found.filter((_, at) => at % 2 === 0)).toEqual(alone(one));
  expect(found.filter((_, at) => at % 2 === 1)).toEqual(alone(two));
});

test('only labels that are there come out, whatever their value', () => {
  fc.assert(
    fc.property(shapes, fc.array(fc.constantFrom(0, 1, 2, 200, 255)), (grid, some) => {
      const { shape, newShape } = grid;
      const count = shape[0] * shape[1] * shape[2];
      const labels = Uint8Array.from({ length: count }, (_, at) => some[at % some.length] ?? 1);
      const known = new Set(labels);
      const found = resampleLabels(labels, shape, newShape, linear);
      expect([...found].every((label) => known.has(label))).toBe(true);
      const slices = resampleLabels(labels, shape, newShape, nearest);
      const values = resampleArray(
        Float32Array.from(labels),
        { shape, channels: 1 },
        newShape,
        nearest,
      );
      expect([...slices]).toEqual([...values]);
    }),
    { numRuns: 200 },
  );
});

test('the shape keeps the extent, and an image of one slice keeps its slice', () => {
  expect(resampledShape([20, 320, 320], [4, 0.6, 0.6], [2, 1.2, 0.6])).toEqual([40, 160, 320]);
  expect(resampledShape([1, 320, 320], [1, 0.6, 0.6], [999, 1.2, 0.6])).toEqual([1, 160, 320]);
  expect(resampledShape([2, 2, 2], [1, 1, 1], [100, 1.0001, 0.9999])).toEqual([1, 2, 2]);
});

test('a thick axis is one that is more than three times as coarse, of the old grid first', () => {
  expect(thickAxis([5, 1, 1], [1, 1, 1])).toBe(0);
  expect(thickAxis([1, 1, 1], [1, 1, 3.5])).toBe(2);
  expect(thickAxis([3, 1, 1], [1, 1, 1])).toBeNull();
  expect(thickAxis([5, 1, 5], [4, 1, 1])).toBeNull();
  expect(ordersBetween([1, 1, 1], [1, 1, 1], 3)).toEqual([3, 3, 3]);
});
