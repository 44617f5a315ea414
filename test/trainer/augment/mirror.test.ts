// Mirrors: which axes, and that a mirror twice is none.

import { expect, test } from 'vitest';
import { philoxWords } from '../../../api/weights/philox.ts';
import { resolveMirrorAxes } from '../../../trainer/augment/augment.ts';
import {
  defaultMirrorAxes,
  mirrorAtRandom,
  mirrorPatch,
  namesASide,
} from '../../../trainer/augment/mirror.ts';
import type { Size } from '../../../trainer/nifti.ts';

const size: Size = [2, 3, 4];
const numbered = (channels: number) => ({
  image: Float32Array.from({ length: 24 * channels }, (_, k) => k),
  labels: Uint8Array.from({ length: 24 }, (_, k) => k),
});

test.each([
  ['x', 1],
  ['x', 3],
  ['y', 2],
  ['z', 2],
] as const)(
  'along %s turns %i channels and the labels around together, and back',
  (axis, channels) => {
    const patch = numbered(channels);
    mirrorPatch(patch, size, axis);
    const place = ['z', 'y', 'x'].indexOf(axis);
    for (let k = 0; k < 24; k++) {
      const at = [Math.floor(k / 12), Math.floor(k / 4) % 3, k % 4];
      at[place] = size[place] - 1 - at[place];
      const from = (at[0] * 3 + at[1]) * 4 + at[2];
      expect(patch.labels[k]).toBe(from);
      const voxel = patch.image.subarray(k * channels, (k + 1) * channels);
      expect([...voxel]).toEqual(Array.from({ length: channels }, (_, c) => from * channels + c));
    }
    mirrorPatch(patch, size, axis);
    expect(patch).toEqual(numbered(channels));
  },
);

test('is done half of the time, axis by axis, and never for an axis that is not asked for', () => {
  const corners = new Map<number, number>();
  for (let seed = 0; seed < 2000; seed++) {
    const patch = numbered(1);
    mirrorAtRandom(patch, { size, axes: ['x', 'y'], random: philoxWords([seed, 5]) });
    corners.set(patch.labels[0], (corners.get(patch.labels[0]) ?? 0) + 1);
  }
  expect([...corners.keys()].sort((a, b) => a - b)).toEqual([0, 3, 8, 11]);
  for (const count of corners.values()) expect(Math.abs(count - 500)).toBeLessThan(90);
});

test.each([
  'left kidney',
  'kidney_left',
  'Hippocampus_L',
  'hippocampusLeft',
  'lh.cortex',
  'Niere links',
  'rein-droit',
])('"%s" names a side', (label) => {
  expect(namesASide(label)).toBe(true);
});

test.each(['background', 'Anterior', 'lesion', 'bright spot', 'cleft', 'upright', 'lung', 'L1'])(
  '"%s" names none',
  (label) => {
    expect(namesASide(label)).toBe(false);
  },
);

test('the default is left-right, none where labels name a side, and what is asked for wins', () => {
  expect(defaultMirrorAxes(['background', 'Anterior', 'Posterior']).axes).toEqual(['x']);
  const sided = ['background', 'kidney_left', 'kidney_right'];
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  expect(resolveMirrorAxes(undefined, { labels: sided, say })).toEqual([]);
  expect(said).toEqual([
    'mirrored axes: none, as labels name a side: "kidney_left", "kidney_right"',
  ]);
  expect(resolveMirrorAxes(['x', 'z'], { labels: sided, say })).toEqual(['x', 'z']);
  expect(said).toHaveLength(1);
});
