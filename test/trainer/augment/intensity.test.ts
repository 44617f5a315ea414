// Changes of intensity: what each of them keeps, and how far it goes.

import { describe, expect, test } from 'vitest';
import { philoxWords } from '../../../api/weights/philox.ts';
import { between, factorBetween, normalish } from '../../../trainer/augment/chance.ts';
import { blur, lowerResolution } from '../../../trainer/augment/filters.ts';
import {
  changeContrast,
  changeFully,
  changeGamma,
  statisticsOf,
} from '../../../trainer/augment/intensity.ts';
import type { Size } from '../../../trainer/nifti.ts';

const size: Size = [6, 7, 8];
const count = 6 * 7 * 8;

function noisy(channels = 1, seed = 1) {
  const random = philoxWords([seed, 3]);
  return Float32Array.from({ length: count * channels }, () => normalish(random));
}

const deviationOf = (image: Float32Array) => statisticsOf(image, 1, 0).deviation;

describe('numbers', () => {
  test('that are close to normal have mean 0 and deviation 1', () => {
    const random = philoxWords([9, 9]);
    const values = Float32Array.from({ length: 100_000 }, () => normalish(random));
    const { mean, deviation } = statisticsOf(values, 1, 0);
    expect(Math.abs(mean)).toBeLessThan(0.015);
    expect(Math.abs(deviation - 1)).toBeLessThan(0.01);
  });

  test('of a range stay in it, and factors are below 1 half of the time', () => {
    const random = philoxWords([8, 8]);
    const values = Array.from({ length: 4000 }, () => between(random, 2, 5));
    expect(Math.min(...values)).toBeGreaterThanOrEqual(2);
    expect(Math.max(...values)).toBeLessThan(5);
    const factors = Array.from({ length: 4000 }, () => factorBetween(random, 0.7, 1.5));
    expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.7);
    expect(Math.max(...factors)).toBeLessThan(1.5);
    expect(Math.abs(factors.filter((factor) => factor < 1).length - 2000)).toBeLessThan(160);
  });
});

describe('filters', () => {
  const channel = (image: Float32Array) => ({ image, size, channels: 1, channel: 0 });

  test('leave an even image as it is', () => {
    const image = new Float32Array(count).fill(0.75);
    blur(channel(image), 0.8, [0, 1, 2]);
    lowerResolution(channel(image), 0.6, [0, 1, 2]);
    for (const value of image) expect(value).toBeCloseTo(0.75, 6);
  });

  test('a blur spreads a point as the Gaussian of its deviation does', () => {
    const side: Size = [1, 1, 15];
    const image = new Float32Array(15);
    image[7] = 1;
    blur({ image, size: side, channels: 1, channel: 0 }, 0.9, [2]);
    expect(image.reduce((sum, value) => sum + value)).toBeCloseTo(1, 6);
    expect(image[8] / image[7]).toBeCloseTo(Math.exp(-1 / (2 * 0.81)), 5);
    expect(image[9] / image[7]).toBeCloseTo(Math.exp(-4 / (2 * 0.81)), 5);
  });

  test('half the resolution keeps every second voxel and draws lines between them', () => {
    const side: Size = [1, 1, 8];
    const image = Float32Array.of(0, 1, 4, 9, 16, 25, 36, 49);
    lowerResolution({ image, size: side, channels: 1, channel: 0 }, 0.5, [2]);
    // Centres of coarse voxels are 0.5, 2.5, 4.5, 6.5; the voxels kept are 1, 3, 5 and 7.
    expect([...image]).toEqual([1, 3, 7, 13, 21, 31, 43, 49]);
  });

  test('touch one channel and the axes that are asked for', () => {
    const image = noisy(2);
    const before = image.slice();
    const of = { image, size, channels: 2, channel: 1 };
    blur(of, 1, [1, 2]);
    lowerResolution(of, 0.5, [1, 2]);
    const changed = image.map((value, k) => Number(value !== before[k]));
    expect(changed.filter((_, k) => k % 2 === 0).every((value) => value === 0)).toBe(true);
    expect(changed.some((value) => value === 1)).toBe(true);
    const slices = new Float32Array(count).map((_, k) => Math.floor(k / 56));
    const kept = slices.slice();
    lowerResolution(channel(slices), 0.5, [1, 2]);
    expect(slices).toEqual(kept);
  });
});

describe('a channel', () => {
  const second = (image: Float32Array) => ({ image, size, channels: 2, channel: 1 });

  test.each([0.75, 1.25])('of contrast times %d stays within its range', (factor) => {
    const image = noisy(2);
    const before = statisticsOf(image, 2, 1);
    const untouched = image.filter((_, k) => k % 2 === 0);
    changeContrast(second(image), factor);
    const after = statisticsOf(image, 2, 1);
    expect(after.low).toBeGreaterThanOrEqual(before.low);
    expect(after.high).toBeLessThanOrEqual(before.high);
    expect(after.deviation / before.deviation > 1).toBe(factor > 1);
    expect(image.filter((_, k) => k % 2 === 0)).toEqual(untouched);
  });

  test.each([
    [0.7, false],
    [1.5, false],
    [0.7, true],
    [1.5, true],
  ])('of gamma %d, inverted %s, keeps order, mean and deviation', (gamma, inverted) => {
    const image = noisy(2);
    const before = image.slice();
    changeGamma(second(image), gamma, inverted);
    const [old, now] = [statisticsOf(before, 2, 1), statisticsOf(image, 2, 1)];
    expect(now.mean).toBeCloseTo(old.mean, 5);
    expect(now.deviation).toBeCloseTo(old.deviation, 5);
    const own = (values: Float32Array) => [...values].filter((_, k) => k % 2 === 1);
    const rank = (values: number[]) =>
      values.map((_, k) => k).sort((a, b) => values[a] - values[b]);
    expect(rank(own(image))).toEqual(rank(own(before)));
    expect(own(image)).not.toEqual(own(before));
    // A power above 1 darkens the middle against the ends; inverted, it brightens it.
    const middle = (values: number[]) => values.toSorted((a, b) => a - b)[count / 2];
    const place = (values: number[]) =>
      (middle(values) - Math.min(...values)) / (Math.max(...values) - Math.min(...values));
    expect(place(own(image)) < place(own(before))).toBe(gamma > 1 !== inverted);
  });

  test('that is even comes out of gamma as it was', () => {
    const image = new Float32Array(count).fill(3);
    changeGamma({ image, size, channels: 1, channel: 0 }, 1.3, false);
    expect(image).toEqual(new Float32Array(count).fill(3));
  });
});

test('the whole chain stays finite and near where it was, and leaves some patches alone', () => {
  let same = 0;
  for (let seed = 0; seed < 600; seed++) {
    const before = noisy(1, seed);
    const image = before.slice();
    changeFully({ image, size, channels: 1 }, philoxWords([seed, 6]), seed % 2 === 0);
    expect(image.every(Number.isFinite)).toBe(true);
    expect(deviationOf(image)).toBeLessThan(1.7);
    if (image.every((value, k) => value === before[k])) same++;
  }
  // 0.9 x (1 - 0.2 / 2) x 0.85 x 0.85 x (1 - 0.25 / 2) x 0.9 x 0.7 of them.
  expect(Math.abs(same / 600 - 0.3226)).toBeLessThan(0.06);
});
