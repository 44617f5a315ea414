// Rotation and scaling: nothing changed by the identity, index permutations where the angle is a
// right one, and labels that were there before.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { philoxWords } from '../../../api/weights/philox.ts';
import {
  drawMildTransform,
  drawTransform,
  transformedPatch,
  transformOf,
} from '../../../trainer/augment/spatial.ts';
import type { Size } from '../../../trainer/nifti.ts';
import { copyPatch, type Placement } from '../../../trainer/patches.ts';

const spacing: Size = [1, 1, 1];
const still = { angles: [0, 0, 0] as Size, scales: [1, 1, 1] as Size, spacing };

function makeCase(shape: Size, channels = 1) {
  const voxels = shape[0] * shape[1] * shape[2];
  const random = philoxWords([voxels, channels]);
  const image = Float32Array.from({ length: voxels * channels }, () => random.word() / 2 ** 32);
  const labels = Uint8Array.from({ length: voxels }, () => random.below(4) * 60);
  return { image, labels, shape, channels };
}

const middleOf = (start: Size, patch: Size): Placement => ({
  start,
  pivot: patch.map((length, axis) => start[axis] + (length - 1) / 2) as Size,
});

const sizes = fc.tuple(
  fc.integer({ min: 1, max: 6 }),
  fc.integer({ min: 1, max: 7 }),
  fc.integer({ min: 1, max: 5 }),
);
const starts = fc.tuple(
  fc.integer({ min: -3, max: 4 }),
  fc.integer({ min: -3, max: 4 }),
  fc.integer({ min: -3, max: 4 }),
);

test('the identity is the plain copy, also where the patch leaves the case', () => {
  fc.assert(
    fc.property(sizes, sizes, starts, fc.constantFrom(1, 2), (shape, patch, start, channels) => {
      const source = makeCase(shape as Size, channels);
      const placement = middleOf(start as Size, patch as Size);
      const transform = transformOf(still);
      const seen = transformedPatch(source, placement, { patch: patch as Size, transform });
      expect(seen).toEqual(copyPatch(source, start as Size, patch as Size));
    }),
  );
});

describe.each([0, 1, 2])('a right angle about axis %i', (axis) => {
  const side = 5;
  const size: Size = [side, side, side];
  const source = makeCase(size);
  const turn = (quarters: number) => {
    const angles: Size = [0, 0, 0];
    angles[axis] = (quarters * Math.PI) / 2;
    const transform = transformOf({ ...still, angles });
    return transformedPatch(source, middleOf([0, 0, 0], size), { patch: size, transform });
  };

  test('is a permutation of indices', () => {
    const seen = turn(1);
    const [a, b] = [0, 1, 2].filter((other) => other !== axis);
    for (let k = 0; k < side ** 3; k++) {
      const at = [Math.floor(k / side ** 2), Math.floor(k / side) % side, k % side];
      const from = [...at];
      // A row [cos -sin] of the turn: the first axis comes from the second one, turned around.
      from[a] = side - 1 - at[b];
      from[b] = at[a];
      const place = (from[0] * side + from[1]) * side + from[2];
      expect(seen.image[k]).toBeCloseTo(source.image[place], 6);
      expect(seen.labels[k]).toBe(source.labels[place]);
    }
  });

  test('taken four times leads back', () => {
    const seen = turn(4);
    expect(seen.labels).toEqual(source.labels);
    seen.image.forEach((value, k) => {
      expect(value).toBeCloseTo(source.image[k], 6);
    });
  });
});

test('a scale of two shows every second voxel', () => {
  const source = makeCase([9, 9, 9]);
  const patch: Size = [3, 3, 3];
  const transform = transformOf({ ...still, scales: [2, 2, 2] });
  const seen = transformedPatch(source, middleOf([3, 3, 3], patch), { patch, transform });
  for (let k = 0; k < 27; k++) {
    const place = [Math.floor(k / 9), Math.floor(k / 3) % 3, k % 3].map((at) => 4 + 2 * (at - 1));
    expect(seen.image[k]).toBe(source.image[(place[0] * 9 + place[1]) * 9 + place[2]]);
  }
});

test('a linear image stays linear under any rotation: the interpolation is exact for it', () => {
  const shape: Size = [20, 20, 20];
  const image = Float32Array.from(
    { length: 8000 },
    (_, k) => Math.floor(k / 400) + 2 * (Math.floor(k / 20) % 20) - 3 * (k % 20),
  );
  const source = { image, labels: new Uint8Array(8000), shape, channels: 1 };
  const given = { angles: [0.4, -0.3, 0.2] as Size, scales: [1.1, 1.1, 1.1] as Size, spacing };
  const m = transformOf(given);
  const placement = middleOf([7, 7, 7], [5, 5, 5]);
  const seen = transformedPatch(source, placement, { patch: [5, 5, 5], transform: m });
  for (let k = 0; k < 125; k++) {
    const d = [Math.floor(k / 25) - 2, (Math.floor(k / 5) % 5) - 2, (k % 5) - 2];
    const from = [0, 3, 6].map((row) => 9 + m[row] * d[0] + m[row + 1] * d[1] + m[row + 2] * d[2]);
    expect(seen.image[k]).toBeCloseTo(from[0] + 2 * from[1] - 3 * from[2], 4);
  }
});

test('a rotation keeps lengths in millimetres where voxels are not cubes', () => {
  const slabs: Size = [3, 1, 0.5];
  const m = transformOf({ ...still, angles: [0.5, -0.7, 0.3], spacing: slabs });
  const lengthOf = (v: number[]) => Math.hypot(...v.map((part, axis) => part * slabs[axis]));
  for (const v of [
    [1, 0, 0],
    [0, 2, 0],
    [1, -4, 7],
  ]) {
    const turned = [0, 3, 6].map((row) => m[row] * v[0] + m[row + 1] * v[1] + m[row + 2] * v[2]);
    expect(lengthOf(turned)).toBeCloseTo(lengthOf(v), 9);
  }
});

describe('drawn transforms', () => {
  const draw = (patch: Size, axes: ('x' | 'y')[], thickness = 1) =>
    Array.from({ length: 2000 }, (_, seed) =>
      drawTransform(philoxWords([seed, 7]), {
        patch,
        spacing: [thickness, 1, 1],
        mirrorAxes: axes,
      }),
    );
  const drawn = (list: (Float64Array | null)[]) => list.filter((one) => one !== null);
  const scaleOf = (m: Float64Array) => Math.hypot(m[2], m[5], m[8]);

  test('are none for 0.8 x 0.8 of the patches, and scale from 0.7 to 1.4', () => {
    const all = draw([32, 48, 32], ['x']);
    const none = all.length - drawn(all).length;
    expect(Math.abs(none - 1280)).toBeLessThan(90);
    const scales = drawn(all).map(scaleOf);
    expect(Math.min(...scales)).toBeGreaterThanOrEqual(0.7 - 1e-12);
    expect(Math.max(...scales)).toBeLessThanOrEqual(1.4 + 1e-12);
    const [below, above] = [scales.filter((s) => s < 1 - 1e-9), scales.filter((s) => s > 1 + 1e-9)];
    expect(Math.abs(below.length - above.length)).toBeLessThan(80);
  });

  test.each([
    ['a patch of depth 1', [1, 64, 64], 1],
    ['a patch of few slices', [8, 64, 64], 1],
    ['thick slices', [32, 48, 32], 4],
  ] as [string, Size, number][])('stay in the plane of %s', (_what, patch, thickness) => {
    for (const m of drawn(draw(patch, ['x'], thickness))) {
      expect([m[0], m[1], m[2], m[3], m[6]]).toEqual([1, 0, 0, 0, 0]);
    }
  });

  test.each([
    [['x'], 30],
    [['x', 'y'], 180],
  ] as ['x'[], number][])('turn a plane that mirrors %s by at most %i degrees', (axes, most) => {
    const angles = drawn(draw([1, 64, 64], axes)).map((m) =>
      Math.abs((Math.atan2(m[7], m[4]) * 180) / Math.PI),
    );
    expect(Math.max(...angles)).toBeLessThanOrEqual(most);
    expect(Math.max(...angles)).toBeGreaterThan(most * 0.9);
  });
});

test('labels of a transformed patch are labels of the case or background', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), sizes, (seed, patch) => {
      const source = makeCase([6, 7, 8]);
      const present = new Set([0, ...source.labels]);
      const random = philoxWords([seed, 1]);
      const angles = [0, 1, 2].map(() => random.word() / 2 ** 31) as Size;
      const transform = transformOf({ ...still, angles });
      const placement = middleOf([0, 1, 2], patch as Size);
      const { labels } = transformedPatch(source, placement, { patch: patch as Size, transform });
      for (const label of labels) expect(present.has(label)).toBe(true);
    }),
  );
});

test('mild changes of form are small: two in five patches, up to 12 degrees and 14 per cent', () => {
  const random = philoxWords([3, 9]);
  const seen = { patch: [32, 48, 32] as Size, spacing, mirrorAxes: [] };
  let changed = 0;
  for (let k = 0; k < 2000; k++) {
    const m = drawMildTransform(random, seen);
    if (m === null) continue;
    changed++;
    const lengths = [0, 1, 2].map((axis) => Math.hypot(m[axis], m[3 + axis], m[6 + axis]));
    for (const length of lengths) {
      expect(length).toBeGreaterThanOrEqual(0.87);
      expect(length).toBeLessThanOrEqual(1.15);
    }
    // Three turns of 12 degrees together stay under 21 on each axis.
    for (const axis of [0, 1, 2]) {
      expect(m[4 * axis] / lengths[axis]).toBeGreaterThan(Math.cos((21 * Math.PI) / 180));
    }
  }
  expect(changed / 2000).toBeCloseTo(0.4, 1);
});

test('thick slices are turned and scaled in their plane only by mild changes, too', () => {
  const random = philoxWords([4, 9]);
  const seen = { patch: [8, 48, 32] as Size, spacing: [5, 1, 1] as Size, mirrorAxes: [] };
  for (let k = 0; k < 200; k++) {
    const m = drawMildTransform(random, seen);
    if (m === null) continue;
    expect([m[0], m[1], m[2], m[3], m[6]]).toEqual(
      [1, 0, 0, 0, 0].map((v) => expect.closeTo(v, 9)),
    );
  }
});
