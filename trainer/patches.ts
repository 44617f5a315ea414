// Patches of a case: where training looks. A case smaller than the patch is padded with its mean.

import type { RandomWords } from '../api/weights/philox.ts';
import type { LoadedCase } from './data.ts';
import type { Size } from './nifti.ts';

export type Patch = {
  /** [D,H,W,C] */
  image: Float32Array;
  /** [D,H,W] */
  labels: Uint8Array;
};

/** Where a patch lies in its case, in voxels [z, y, x]. */
export type Placement = {
  /** The case's voxel that is the patch's first one; it may lie outside the case. */
  start: Size;
  /** What stays in its place when the patch is turned or scaled. */
  pivot: Size;
};

/** Whether a batch slot must show foreground; `share` of them must, drawn one by one. */
export function forcedForeground(random: RandomWords, share: number): boolean {
  return random.word() < share * 2 ** 32;
}

/**
 * Places a patch at random, or so that it shows a random voxel of a random foreground class, which
 * then is the pivot and so stays in sight. The pivot is the patch's middle otherwise.
 */
export function placePatch(input: {
  loaded: Pick<LoadedCase, 'shape' | 'labels' | 'foreground'>;
  patch: Size;
  random: RandomWords;
  forceForeground: boolean;
}): Placement {
  const { loaded, patch, random, forceForeground } = input;
  const shown = forceForeground ? foregroundVoxel(loaded, random) : null;
  const start = patch.map((length, axis) => {
    const room = loaded.shape[axis] - length;
    if (room <= 0) return Math.floor(room / 2);
    if (shown === null) return random.below(room + 1);
    const wanted = shown[axis] - random.below(length);
    return Math.min(Math.max(wanted, 0), room);
  }) as Size;
  const middle = patch.map((length, axis) => start[axis] + (length - 1) / 2) as Size;
  return { start, pivot: shown ?? middle };
}

/** A voxel [z, y, x] of a class at random, all classes as likely; null if there is none. */
function foregroundVoxel(
  { foreground, labels, shape }: Pick<LoadedCase, 'shape' | 'labels' | 'foreground'>,
  random: RandomWords,
): Size | null {
  const classes = [...foreground];
  if (classes.length === 0) return null;
  const [value, counts] = classes[random.below(classes.length)];
  let rank = random.below(counts.reduce((sum, count) => sum + count, 0));
  let z = 0;
  while (rank >= counts[z]) rank -= counts[z++];
  const plane = shape[1] * shape[2];
  let at = labels.indexOf(value, z * plane);
  while (rank-- > 0) at = labels.indexOf(value, at + 1);
  return [z, Math.floor((at % plane) / shape[2]), at % shape[2]];
}

/** The patch whose first voxel is at `start`, which may lie outside the case. */
export function copyPatch(
  { image, labels, shape, channels }: Pick<LoadedCase, 'image' | 'labels' | 'shape' | 'channels'>,
  start: Size,
  patch: Size,
): Patch {
  const [depth, height, width] = patch;
  const out = {
    image: new Float32Array(depth * height * width * channels),
    labels: new Uint8Array(depth * height * width),
  };
  const fromX = Math.max(0, -start[2]);
  const toX = Math.min(width, shape[2] - start[2]);
  if (toX <= fromX) return out;
  for (let z = Math.max(0, -start[0]); z < Math.min(depth, shape[0] - start[0]); z++) {
    for (let y = Math.max(0, -start[1]); y < Math.min(height, shape[1] - start[1]); y++) {
      const from = ((z + start[0]) * shape[1] + y + start[1]) * shape[2] + start[2];
      const to = (z * height + y) * width;
      out.labels.set(labels.subarray(from + fromX, from + toX), to + fromX);
      const voxels = image.subarray((from + fromX) * channels, (from + toX) * channels);
      out.image.set(voxels, (to + fromX) * channels);
    }
  }
  return out;
}

/** Where windows start so that they cover an axis, at most half a patch apart. */
export function windowStarts(length: number, patch: number): number[] {
  if (length <= patch) return [Math.floor((length - patch) / 2)];
  const steps = Math.ceil((length - patch) / (patch / 2));
  return Array.from({ length: steps + 1 }, (_, k) => Math.round((k * (length - patch)) / steps));
}

/** The starts of all windows over a volume. */
export function slidingWindows(shape: Size, patch: Size): Size[] {
  const [zs, ys, xs] = shape.map((length, axis) => windowStarts(length, patch[axis]));
  return zs.flatMap((z) => ys.flatMap((y) => xs.map((x): Size => [z, y, x])));
}
