// Cases as the trainer sees them: z-scores, labels, patches, flips; and that a bad file is refused
// by name before anything is learned from it.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { philoxWords } from '../../api/weights/philox.ts';
import { augmentPatch, flipLeftRight } from '../../trainer/augment.ts';
import { caseCache, type LoadedCase, loadCase } from '../../trainer/data.ts';
import { type Size, writeVolume } from '../../trainer/nifti.ts';
import { copyPatch, cutPatch, forcedForeground, slidingWindows } from '../../trainer/patches.ts';

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
    expect([...(foreground.get(2) as Int32Array)]).toEqual([77]);
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
    const one = { ...(await loaded()), foreground: new Map([[2, Int32Array.of(77)]]) };
    for (const patch of [
      [2, 2, 2],
      [4, 5, 6],
      [9, 3, 8],
    ] as Size[]) {
      for (let seed = 0; seed < 50; seed++) {
        const input = { loaded: one, patch, random: philoxWords([seed, 0]), forceForeground: true };
        expect(cutPatch(input).labels).toContain(2);
      }
    }
  });

  test('are forced in one slot of three', () => {
    const random = philoxWords([1, 2]);
    const forced = Array.from({ length: 3000 }, () => forcedForeground(random)).filter(Boolean);
    expect(Math.abs(forced.length - 1000)).toBeLessThan(130);
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

describe('augmentation', () => {
  test.each([1, 2])('flips %i channels and the labels together, and back', (channels) => {
    const image = Float32Array.from({ length: 24 * channels }, (_, k) => k);
    const labels = Uint8Array.from({ length: 24 }, (_, k) => k);
    const patch = { image: image.slice(), labels: labels.slice() };
    flipLeftRight(patch, [2, 3, 4]);
    expect([...patch.labels.subarray(0, 4)]).toEqual([3, 2, 1, 0]);
    expect(patch.image[0]).toBe(3 * channels);
    for (let k = 0; k < 24; k++) expect(patch.image[k * channels]).toBe(patch.labels[k] * channels);
    flipLeftRight(patch, [2, 3, 4]);
    expect(patch).toEqual({ image, labels });
  });

  test('gives the same patch for the same seed and leaves labels whole', () => {
    const make = (seed: number) => {
      const patch = { image: ramp().map(Math.sin), labels: Uint8Array.from(someLabels()) };
      augmentPatch(patch, shape, philoxWords([seed, 0]));
      return patch;
    };
    expect(make(5)).toEqual(make(5));
    expect(make(5).image).not.toEqual(make(6).image);
    expect([...make(5).labels].sort()).toEqual([...Uint8Array.from(someLabels())].sort());
  });
});
