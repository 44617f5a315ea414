// The patch of a draw: the same stream gives the same bytes, and each setting does what it says.

import { beforeAll, expect, test } from 'vitest';
import { philoxWords } from '../../../api/weights/philox.ts';
import { drawPatch, type PatchSettings } from '../../../trainer/augment/augment.ts';
import { normalish } from '../../../trainer/augment/chance.ts';
import type { LoadedCase } from '../../../trainer/data.ts';
import type { Size } from '../../../trainer/nifti.ts';
import { copyPatch, placePatch } from '../../../trainer/patches.ts';

const shape: Size = [10, 12, 11];
const voxels = 10 * 12 * 11;
let loaded: LoadedCase;
const settings: PatchSettings = {
  patch: [6, 8, 6],
  augmentation: 'full',
  mirrorAxes: ['x'],
  foregroundShare: 1 / 3,
};

beforeAll(() => {
  const random = philoxWords([1, 1]);
  const labels = new Uint8Array(voxels);
  const counts = new Uint32Array(10);
  // A few voxels in the corner, so that only a forced patch is sure to show them.
  for (const [z, y, x] of [
    [9, 11, 10],
    [9, 11, 9],
    [8, 11, 10],
  ]) {
    labels[(z * 12 + y) * 11 + x] = 2;
    counts[z]++;
  }
  const image = Float32Array.from({ length: voxels }, () => normalish(random));
  const foreground = new Map([[2, counts]]);
  const grid = { shape, spacing: [1, 1, 1] as Size };
  loaded = { id: 'a', image, channels: 1, labels, ...grid, foreground, own: null };
});

const patchOf = (seed: number, more: Partial<PatchSettings> = {}) =>
  drawPatch(loaded, { ...settings, ...more }, philoxWords([seed, 2]));

test.each(['none', 'mild', 'full'] as const)('%s: same stream, same bytes', (augmentation) => {
  for (let seed = 0; seed < 50; seed++) {
    expect(patchOf(seed, { augmentation })).toEqual(patchOf(seed, { augmentation }));
  }
  expect(patchOf(1, { augmentation })).not.toEqual(patchOf(2, { augmentation }));
});

test('none is the patch as it is cut', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = philoxWords([seed, 2]);
    const forceForeground = random.word() < 2 ** 32 / 3;
    const placement = placePatch({ loaded, patch: settings.patch, random, forceForeground });
    const cut = copyPatch(loaded, placement.start, settings.patch);
    expect(patchOf(seed, { augmentation: 'none' })).toEqual(cut);
  }
});

test('the case itself is left as it is', () => {
  const kept = { image: loaded.image.slice(), labels: loaded.labels.slice() };
  for (let seed = 0; seed < 50; seed++) patchOf(seed);
  expect({ image: loaded.image, labels: loaded.labels }).toEqual(kept);
});

test('a forced patch shows its voxel, however it is turned, scaled and mirrored', () => {
  for (let seed = 0; seed < 400; seed++) {
    const { labels } = patchOf(seed, { foregroundShare: 1, mirrorAxes: ['x', 'y', 'z'] });
    expect(labels).toContain(2);
    for (const label of labels) expect([0, 2]).toContain(label);
  }
});

test('without forced foreground the corner is seldom seen', () => {
  const patches = Array.from({ length: 200 }, (_, seed) => patchOf(seed, { foregroundShare: 0 }));
  const shown = patches.filter(({ labels }) => labels.includes(2));
  expect(shown.length).toBeLessThan(20);
});
