// A network's answer for a whole volume: windows side by side, blended, and seen in mirrors if
// asked.

import { type MirrorAxis, mirrorVoxels } from './augment/mirror.ts';
import type { LoadedCase } from './data.ts';
import type { Learner } from './learner.ts';
import type { Size } from './nifti.ts';
import { copyPatch, slidingWindows } from './patches.ts';
import { ordersBetween, resampleArray } from './resampling/resample.ts';

/** What prediction needs of a learner. */
export type Predictor = Pick<Learner, 'patch' | 'divisors' | 'classCount' | 'probabilities'>;

/**
 * Probabilities [voxel, class] of a whole volume: overlapping windows, averaged by shares that
 * fall off from a window's centre. An axis little longer than the patch is taken in one piece. Each
 * window is also seen mirrored along every choice of `mirrorAxes`, which the training must have
 * mirrored, too.
 */
export async function predictVolume(
  loaded: Pick<LoadedCase, 'image' | 'labels' | 'shape' | 'channels'>,
  learner: Predictor,
  mirrorAxes: MirrorAxis[] = [],
): Promise<Float32Array> {
  const { patch, divisors, classCount } = learner;
  const { shape } = loaded;
  const size = shape.map((length, axis) => {
    const whole = Math.ceil(length / divisors[axis]!) * divisors[axis]!;
    return whole <= 1.5 * patch[axis]! ? whole : patch[axis]!;
  }) as Size;
  const sum = new Float32Array(loaded.labels.length * classCount);
  const total = new Float32Array(loaded.labels.length);
  const falloff = size.map(centredBell);
  for (const start of slidingWindows(shape, size)) {
    const { image } = copyPatch(loaded, start, size);
    addWindow({ sum, total }, await predictWindow(image, size, { learner, mirrorAxes }), {
      start,
      size,
      shape,
      falloff,
    });
  }
  for (let at = 0; at < sum.length; at += 1) sum[at]! /= total[Math.floor(at / classCount)]!;
  return sum;
}

/**
 * Probabilities [voxel, class] of a case on its own grid, and the labels to compare them with;
 * where the plan's grid is another, the network's answer is interpolated linearly.
 */
export async function predictCase(
  loaded: LoadedCase,
  learner: Predictor,
  mirrorAxes: MirrorAxis[] = [],
): Promise<{ probabilities: Float32Array; labels: Uint8Array; shape: Size }> {
  const { own, labels, shape, spacing } = loaded;
  const probabilities = await predictVolume(loaded, learner, mirrorAxes);
  if (own === null) return { probabilities, labels, shape };
  const orders = ordersBetween(spacing, own.spacing, 1);
  const grid = { shape, channels: learner.classCount };
  const onOwn = resampleArray(probabilities, grid, own.shape, orders);
  return { probabilities: onOwn, labels: own.labels, shape: own.shape };
}

// The mean over the window as it is and every mirror image of it, each turned back.
async function predictWindow(
  image: Float32Array,
  size: Size,
  { learner, mirrorAxes }: { learner: Predictor; mirrorAxes: MirrorAxis[] },
): Promise<Float32Array> {
  const { classCount } = learner;
  const channels = image.length / (size[0] * size[1] * size[2]);
  let sum: Float32Array | null = null;
  const choices = 2 ** mirrorAxes.length;
  for (let choice = 0; choice < choices; choice += 1) {
    const axes = mirrorAxes.filter((_, place) => (choice >> place) & 1);
    const turned = axes.length === 0 ? image : image.slice();
    for (const axis of axes) mirrorVoxels(turned, { size, axis, values: channels });
    const probabilities = await learner.probabilities(turned, size);
    for (const axis of axes) mirrorVoxels(probabilities, { size, axis, values: classCount });
    if (sum === null) sum = probabilities;
    else for (let at = 0; at < sum.length; at += 1) sum[at]! += probabilities[at]!;
  }
  const mean = sum as Float32Array;
  if (choices > 1) for (let at = 0; at < mean.length; at += 1) mean[at]! /= choices;
  return mean;
}

/** A Gaussian over a window's axis, deviation an eighth of it as in nnU-Net, never under 0.01. */
function centredBell(length: number): Float32Array {
  return Float32Array.from({ length }, (_, at) =>
    Math.max(0.01, Math.exp(-0.5 * ((at + 0.5 - length / 2) / (length / 8)) ** 2)),
  );
}

function addWindow(
  into: { sum: Float32Array; total: Float32Array },
  probabilities: Float32Array,
  window: { start: Size; size: Size; shape: Size; falloff: Float32Array[] },
): void {
  const { start, size, shape, falloff } = window;
  const classCount = into.sum.length / into.total.length;
  const [from, to] = [
    start.map((at) => Math.max(0, -at)),
    size.map((length, axis) => Math.min(length, shape[axis]! - start[axis]!)),
  ];
  for (let z = from[0]!; z < to[0]!; z += 1) {
    for (let y = from[1]!; y < to[1]!; y += 1) {
      const near = falloff[0]![z]! * falloff[1]![y]!;
      for (let x = from[2]!; x < to[2]!; x += 1) {
        const share = near * falloff[2]![x]!;
        const voxel = ((z + start[0]) * shape[1] + y + start[1]) * shape[2] + x + start[2];
        const source = ((z * size[1] + y) * size[2] + x) * classCount;
        into.total[voxel]! += share;
        for (let k = 0; k < classCount; k += 1) {
          into.sum[voxel * classCount + k]! += share * probabilities[source + k]!;
        }
      }
    }
  }
}
