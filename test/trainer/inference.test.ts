// Whole volumes from windows: every voxel comes back, once, also through mirrors.

import { expect, test } from 'vitest';
import { mirrorVoxels } from '../../trainer/augment/mirror.ts';
import { predictCase, predictVolume } from '../../trainer/inference.ts';
import type { Size } from '../../trainer/nifti.ts';

test.each<[string, Size]>([
  ['larger than the window on every axis', [9, 14, 21]],
  ['smaller than the window', [3, 5, 2]],
  ['a little larger than the window', [5, 10, 8]],
])('a volume %s is put together from its windows, voxel by voxel', async (_what, shape) => {
  const voxels = shape[0] * shape[1] * shape[2];
  const image = Float32Array.from({ length: voxels }, (_, i) => (i % 97) / 97);
  const labels = new Uint8Array(voxels);
  const loaded = {
    id: 'a',
    image,
    labels,
    shape,
    channels: 1,
    spacing: shape,
    foreground: new Map(),
  };
  let windows = 0;
  const predicted = await predictVolume(loaded, {
    patch: [4, 8, 8],
    divisors: [2, 2, 2],
    classCount: 2,
    probabilities: async (window, size) => {
      windows += 1;
      expect(window.length).toBe(size[0] * size[1] * size[2]);
      return Float32Array.from({ length: 2 * window.length }, (_, i) =>
        i % 2 === 0 ? 1 - window[i >> 1] : window[i >> 1],
      );
    },
  });
  expect(windows).toBeGreaterThan(0);
  for (let voxel = 0; voxel < voxels; voxel += 1) {
    expect(Math.abs(predicted[2 * voxel + 1] - image[voxel])).toBeLessThan(1e-5);
  }
});

const ramp = (shape: Size) => {
  const voxels = shape[0] * shape[1] * shape[2];
  const image = Float32Array.from({ length: voxels }, (_, i) => (i % 97) / 97);
  return { image, labels: new Uint8Array(voxels), shape, channels: 1 };
};

// Answers each voxel's own value, plus a slope along x that a mirror turns around.
const sloped = (windows: string[]) => ({
  patch: [2, 4, 4] as Size,
  divisors: [2, 4, 4] as Size,
  classCount: 2,
  probabilities: async (window: Float32Array, size: Size) => {
    windows.push([...window.slice(0, 4)].join(' '));
    return Float32Array.from({ length: 2 * window.length }, (_, i) =>
      i % 2 === 0 ? window[i >> 1] : (i >> 1) % size[2],
    );
  },
});

test('a mirrored window is turned back: what depends on its place is evened out', async () => {
  const loaded = ramp([2, 4, 4]);
  const seen: string[] = [];
  const predicted = await predictVolume(loaded, sloped(seen), ['x']);
  expect(seen.length).toBe(2);
  for (const [voxel, value] of loaded.image.entries()) {
    expect(predicted[2 * voxel]).toBeCloseTo(value, 5);
    expect(predicted[2 * voxel + 1]).toBeCloseTo(1.5, 5);
  }
  const plain = await predictVolume(loaded, sloped([]));
  expect([...plain.slice(0, 8)].filter((_, i) => i % 2 === 1)).toEqual(
    [0, 1, 2, 3].map((value) => expect.closeTo(value, 5)),
  );
});

test('sees every choice of the axes once', async () => {
  const seen: string[] = [];
  await predictVolume(ramp([2, 4, 4]), sloped(seen), ['x', 'y', 'z']);
  expect(new Set(seen).size).toBe(8);
  expect(seen.length).toBe(8);
});

test('mirrors whole voxels, not the values within them', () => {
  const voxels = Float32Array.of(1, 10, 2, 20, 3, 30, 4, 40);
  mirrorVoxels(voxels, { size: [1, 2, 2], axis: 'x', values: 2 });
  expect([...voxels]).toEqual([2, 20, 1, 10, 4, 40, 3, 30]);
  mirrorVoxels(voxels, { size: [1, 2, 2], axis: 'y', values: 2 });
  expect([...voxels]).toEqual([4, 40, 3, 30, 2, 20, 1, 10]);
});

test('a case is answered on its own grid, which costs nothing where that is the plan’s', async () => {
  const learner = {
    patch: [4, 8, 8] as Size,
    divisors: [2, 2, 2] as Size,
    classCount: 2,
    // The first half of the rows is foreground.
    probabilities: async (_window: Float32Array, size: Size) =>
      Float32Array.from({ length: 2 * size[0] * size[1] * size[2] }, (_, i) =>
        (Math.floor((i >> 1) / size[2]) % size[1] < size[1] / 2 ? 1 : 0) === i % 2 ? 0.75 : 0.25,
      ),
  };
  const shape: Size = [4, 8, 8];
  const grid = { ...ramp(shape), spacing: [5, 1, 1] as Size };
  const plain = { id: 'a', ...grid, foreground: new Map(), own: null };
  const same = await predictCase(plain, learner);
  expect(same.labels).toBe(plain.labels);
  expect(same.probabilities).toEqual(await predictVolume(plain, learner));
  const labels = new Uint8Array(8 * 4 * 16).fill(1);
  const own = { labels, shape: [8, 4, 16] as Size, spacing: [2.5, 2, 0.5] as Size };
  const back = await predictCase({ ...plain, own }, learner);
  expect(back.labels).toBe(labels);
  expect(back.shape).toEqual([8, 4, 16]);
  for (let voxel = 0; voxel < labels.length; voxel++) {
    const row = Math.floor(voxel / 16) % 4;
    const [first, second] = [back.probabilities[2 * voxel]!, back.probabilities[2 * voxel + 1]!];
    expect(first + second).toBeCloseTo(1, 5);
    expect(second > first).toBe(row < 2);
  }
});
