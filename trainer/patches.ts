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

/** Whether a batch slot must show foreground: one slot in three on average. */
export function forcedForeground(random: RandomWords): boolean {
  return random.below(3) === 0;
}

/** Cuts a patch at random, or around a random voxel of a random foreground class. */
export function cutPatch(input: {
  loaded: LoadedCase;
  patch: Size;
  random: RandomWords;
  forceForeground: boolean;
}): Patch {
  const { loaded, patch, random, forceForeground } = input;
  const centre = forceForeground ? foregroundVoxel(loaded, random) : null;
  const start = patch.map((length, axis) => {
    const room = loaded.shape[axis] - length;
    if (room <= 0) return Math.floor(room / 2);
    if (centre === null) return random.below(room + 1);
    const wanted = centre[axis] - random.below(length);
    return Math.min(Math.max(wanted, 0), room);
  }) as Size;
  return copyPatch(loaded, start, patch);
}

function foregroundVoxel({ foreground, shape }: LoadedCase, random: RandomWords): Size | null {
  const classes = [...foreground.values()];
  if (classes.length === 0) return null;
  const places = classes[random.below(classes.length)];
  const voxel = places[random.below(places.length)];
  const plane = shape[1] * shape[2];
  return [Math.floor(voxel / plane), Math.floor((voxel % plane) / shape[2]), voxel % shape[2]];
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
