// Cases as the trainer sees them: z-scores, labels, patches; and that a bad file is refused
// by name before anything is learned from it.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { philoxWords } from '../../api/weights/philox.ts';
import { caseCache, type LoadedCase, loadCase } from '../../trainer/data.ts';
import { type Size, writeVolume } from '../../trainer/nifti.ts';
import { copyPatch, forcedForeground, placePatch, slidingWindows } from '../../trainer/patches.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-data-'));
const spacing: Size = [1, 1, 1];
const shape: Size = [4, 5, 6];
const values = new Set([0, 1, 2]);

async function file(name: string, data: Float32Array, size = shape): Promise<string> {
  const path = join(folder, `${name}.nii.gz`);
  await writeVolume(path, { data, shape: size, spacing });
  return path;
}

const ramp = (count = 120) => Float32Array.from({ length: count }, (_, k) => k);
const someLabels = () =>
  Float32Array.from({ length: 120 }, (_, k) => (k === 77 ? 2 : k > 100 ? 1 : 0));

async function loaded(): Promise<LoadedCase> {
  const images = [await file('a_0000', ramp()), await file('a_0001', ramp().reverse())];
  return await loadCase({ id: 'a', images, label: await file('a', someLabels()), values });
}

describe('a case', () => {
  test('has every channel with mean 0 and deviation 1, and knows where each class lies', async () => {
    const { image, labels, foreground } = await loaded();
    for (const channel of [0, 1]) {
      const own = image.filter((_, k) => k % 2 === channel);
      const mean = own.reduce((a, b) => a + b, 0) / own.length;
      const variance = own.reduce((a, b) => a + (b - mean) ** 2, 0) / own.length;
      expect([mean, variance]).toEqual([expect.closeTo(0, 6), expect.closeTo(1, 5)]);
    }
    expect(labels[77]).toBe(2);
    expect([...foreground.keys()]).toEqual([1, 2]);
    expect([...foreground.get(2)!]).toEqual([0, 0, 1, 0]);
    expect([...foreground.get(1)!]).toEqual([0, 0, 0, 19]);
  });

  test('comes on the spacing of the plan, and keeps its own labels to be compared with', async () => {
    const images = [await file('grid_0000', ramp()), await file('grid_0001', ramp().reverse())];
    const files = { id: 'a', images, label: await file('grid', someLabels()) };
    const half = await loadCase({ ...files, values, spacing: [2, 1, 0.5] });
    expect(half.shape).toEqual([2, 5, 12]);
    expect(half.spacing).toEqual([2, 1, 0.5]);
    expect([half.image.length, half.labels.length]).toEqual([2 * 120, 120]);
    expect(half.own).toEqual({ labels: Uint8Array.from(someLabels()), shape, spacing });
    const seen = [...half.foreground.get(1)!].reduce((a, b) => a + b, 0);
    expect(seen).toBe(half.labels.filter((label) => label === 1).length);
    // The channels run against each other: resampled and scaled alike, they cancel out.
    for (let k = 0; k < 120; k++) {
      expect(half.image[2 * k]! + half.image[2 * k + 1]!).toBeCloseTo(0, 4);
    }
    expect(half.image[2 * 119]).toBeGreaterThan(half.image[0]!);
  });

  test('whose voxels stay as many is not touched', async () => {
    const files = { id: 'a', images: [await file('same_0000', ramp())] };
    const label = await file('same', someLabels());
    const plain = await loadCase({ ...files, label, values });
    const near = await loadCase({ ...files, label, values, spacing: [1.05, 0.95, 1.001] });
    expect(near).toEqual(plain);
    expect(near.own).toBeNull();
    expect(near.spacing).toEqual([1, 1, 1]);
  });

  test('has each channel scaled by its own rule', async () => {
    const images = [await file('two_0000', ramp()), await file('two_0001', ramp())];
    const { image } = await loadCase({
      id: 'a',
      images,
      label: await file('two', someLabels()),
      values,
      normalization: [
        { kind: 'ct', low: 10, high: 100, mean: 50, deviation: 10 },
        { kind: 'none' },
      ],
    });
    expect([0, 60, 119].map((k) => [image[2 * k], image[2 * k + 1]])).toEqual([
      [-4, 0],
      [1, 60],
      [5, 119],
    ]);
  });

  test('is refused when its label has another shape', async () => {
    const label = await file('shape', ramp(24).fill(0), [2, 3, 4]);
    const paths = { id: 'x', images: [await file('x_0000', ramp())], label, values };
    await expect(loadCase(paths)).rejects.toThrow(
      `${label}: the label has 4 x 3 x 2 voxels, but x_0000.nii.gz has 6 x 5 x 4`,
    );
  });

  test('is refused when its label holds a value that dataset.json does not list', async () => {
    const label = await file('value', someLabels().fill(7, 3, 4));
    const paths = { id: 'y', images: [await file('y_0000', ramp())], label, values };
    await expect(loadCase(paths)).rejects.toThrow(
      `${label}: label value 7 is not in dataset.json (which lists 0, 1, 2)`,
    );
  });

  test('is refused when a voxel is not a number', async () => {
    const image = await file('z_0000', ramp().fill(Number.NaN, 9, 10));
    const paths = { id: 'z', images: [image], label: await file('z', someLabels()), values };
    await expect(loadCase(paths)).rejects.toThrow(`${image}: the image holds voxels`);
  });

  test('is read again only after the cache has let it go', async () => {
    const one = await loaded();
    const reads: string[] = [];
    const load = async (id: string) => {
      reads.push(id);
      return one;
    };
    const get = caseCache(load, 2.5 * (one.image.byteLength + 2 * one.labels.byteLength));
    for (const id of ['a', 'b', 'a', 'c', 'a', 'b']) await get(id);
    expect(reads).toEqual(['a', 'b', 'c', 'b']);
  });
});

describe('patches', () => {
  test('hold the voxels of the case, and zeros where it ends', async () => {
    const one = await loaded();
    const patch = copyPatch(one, [1, -1, 2], [3, 7, 3]);
    for (let k = 0; k < 63; k++) {
      const [z, y, x] = [Math.floor(k / 21) + 1, (Math.floor(k / 3) % 7) - 1, (k % 3) + 2];
      const inside = y >= 0 && y < 5;
      const from = (z * 5 + y) * 6 + x;
      expect(patch.labels[k]).toBe(inside ? one.labels[from] : 0);
      expect(patch.image[2 * k + 1]).toBe(inside ? one.image[2 * from + 1] : 0);
    }
  });

  test('show the forced class whenever it is forced, for a case larger or smaller than the patch', async () => {
    const one = { ...(await loaded()), foreground: new Map([[2, Uint32Array.of(0, 0, 1, 0)]]) };
    for (const patch of [
      [2, 2, 2],
      [4, 5, 6],
      [9, 3, 8],
    ] as Size[]) {
      for (let seed = 0; seed < 50; seed++) {
        const input = { loaded: one, patch, random: philoxWords([seed, 0]), forceForeground: true };
        const { start, pivot } = placePatch(input);
        expect(copyPatch(one, start, patch).labels).toContain(2);
        expect(pivot).toEqual([2, 2, 5]);
      }
    }
  });

  test('show every voxel of a class as often as another', async () => {
    const one = await loaded();
    const seen = new Map<string, number>();
    const random = philoxWords([3, 4]);
    for (let draw = 0; draw < 4000; draw++) {
      const input = { loaded: one, patch: [2, 2, 2] as Size, random, forceForeground: true };
      const place = placePatch(input).pivot.join();
      seen.set(place, (seen.get(place) ?? 0) + 1);
    }
    expect(seen.size).toBe(20);
    expect(Math.abs(seen.get('2,2,5')! - 2000)).toBeLessThan(160);
    for (let k = 101; k < 120; k++) {
      const place = [3, Math.floor((k % 30) / 6), k % 6].join();
      expect(Math.abs(seen.get(place)! - 2000 / 19)).toBeLessThan(55);
    }
  });

  test.each([0, 1 / 3, 0.9, 1])('are forced in a share of %d of the slots', (share) => {
    const random = philoxWords([1, 2]);
    const slots = Array.from({ length: 3000 }, () => forcedForeground(random, share));
    const forced = slots.filter(Boolean).length;
    if (share === 0 || share === 1) expect(forced).toBe(3000 * share);
    else expect(Math.abs(forced - 3000 * share)).toBeLessThan(130);
  });

  test.each([
    [
      [10, 17, 6],
      [4, 8, 6],
    ],
    [
      [3, 33, 50],
      [4, 16, 16],
    ],
  ] as [Size, Size][])('of a sliding window cover every voxel of %s', (size, patch) => {
    const seen = new Uint8Array(size[0] * size[1] * size[2]);
    for (const [z0, y0, x0] of slidingWindows(size, patch)) {
      for (let z = Math.max(0, z0); z < Math.min(size[0], z0 + patch[0]); z++)
        for (let y = Math.max(0, y0); y < Math.min(size[1], y0 + patch[1]); y++)
          for (let x = Math.max(0, x0); x < Math.min(size[2], x0 + patch[2]); x++)
            seen[(z * size[1] + y) * size[2] + x] = 1;
    }
    expect(seen.every((value) => value === 1)).toBe(true);
  });
});
