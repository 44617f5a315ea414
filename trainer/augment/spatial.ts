// Rotation and scaling. A patch is read from its case through one interpolation: no larger crop is
// cut first, and nothing is interpolated twice. Outside of the case lie zeros and background.

import type { RandomWords } from '../../api/weights/philox.ts';
import type { LoadedCase } from '../data.ts';
import type { Size } from '../nifti.ts';
import type { Patch, Placement } from '../patches.ts';
import { between, chance, factorBetween } from './chance.ts';
import type { MirrorAxis } from './mirror.ts';

/**
 * Where a voxel of the patch comes from: row-major 3 x 3, from its offset to the pivot to its
 * source's offset to the pivot, both [z, y, x] in voxels.
 */
export type Transform = Float64Array;

const rotationProbability = 0.2;
const scalingProbability = 0.2;
const mildProbability = 0.4;
const degrees = Math.PI / 180;

/** Whether slices are so thick, or so few, that turning them into each other makes no sense. */
export function inPlaneOnly(patch: Size, spacing: Size): boolean {
  const across = Math.max(spacing[1], spacing[2]);
  return patch[0] * 3 < Math.max(patch[1], patch[2]) || spacing[0] > 3 * across;
}

/**
 * Draws a rotation (p 0.2, up to 30 degrees about each axis) and a scaling (p 0.2, 0.7 to 1.4), or
 * null for neither. Thick slices turn and scale in their plane only; they turn all the way round
 * where both axes of the plane may be mirrored, since half a turn is both mirrors.
 */
export function drawTransform(random: RandomWords, given: Seen): Transform | null {
  const { patch, spacing, mirrorAxes } = given;
  const flat = inPlaneOnly(patch, spacing);
  const rotates = chance(random, rotationProbability);
  const anyWay = flat && mirrorAxes.includes('x') && mirrorAxes.includes('y');
  const angles: Size = rotates ? drawAngles(random, anyWay ? 180 : 30, flat) : [0, 0, 0];
  const scales = chance(random, scalingProbability);
  if (!rotates && !scales) return null;
  const scale = scales ? factorBetween(random, 0.7, 1.4) : 1;
  return transformOf({ angles, scales: [flat ? 1 : scale, scale, scale], spacing });
}

/**
 * Draws a small change of form (p 0.4), or null: up to 12 degrees about each axis and a factor of
 * 0.88 to 1.14 along each. Thick slices change in their plane only.
 */
export function drawMildTransform(random: RandomWords, { patch, spacing }: Seen): Transform | null {
  if (!chance(random, mildProbability)) return null;
  const flat = inPlaneOnly(patch, spacing);
  const angles = drawAngles(random, 12, flat);
  const [y, x] = [factorBetween(random, 0.88, 1.14), factorBetween(random, 0.88, 1.14)];
  const z = flat ? 1 : factorBetween(random, 0.88, 1.14);
  return transformOf({ angles, scales: [z, y, x], spacing });
}

type Seen = { patch: Size; spacing: Size; mirrorAxes: MirrorAxis[] };

function drawAngles(random: RandomWords, mostDegrees: number, flat: boolean): Size {
  const most = mostDegrees * degrees;
  const angles: Size = [between(random, -most, most), 0, 0];
  if (!flat) for (const axis of [1, 2]) angles[axis] = between(random, -most, most);
  return angles;
}

/**
 * The transform of turning by `angles` (radians about z, y and x) and stretching what the patch
 * sees by `scales`, in millimetres: shapes keep their form where voxels are not cubes.
 */
export function transformOf(given: { angles: Size; scales: Size; spacing: Size }): Transform {
  const { angles, scales, spacing } = given;
  let turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (const axis of [0, 1, 2]) {
    const [a, b] = [0, 1, 2].filter((other) => other !== axis);
    const one = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    one[4 * a] = Math.cos(angles[axis]);
    one[4 * b] = one[4 * a];
    one[3 * a + b] = -Math.sin(angles[axis]);
    one[3 * b + a] = Math.sin(angles[axis]);
    turn = product(turn, one);
  }
  return Float64Array.from(turn, (value, k) => {
    const [row, column] = [Math.floor(k / 3), k % 3];
    return (value * scales[row] * spacing[column]) / spacing[row];
  });
}

function product(a: number[], b: number[]): number[] {
  return a.map((_, k) => {
    const [row, column] = [k - (k % 3), k % 3];
    return a[row] * b[column] + a[row + 1] * b[column + 3] + a[row + 2] * b[column + 6];
  });
}

type Source = Pick<LoadedCase, 'image' | 'labels' | 'shape' | 'channels'>;

/**
 * The patch at `placement` seen through a transform: trilinear for images; each label is the class
 * that the eight voxels around its source lie nearest to, together.
 */
export function transformedPatch(
  source: Source,
  { start, pivot }: Placement,
  { patch, transform }: { patch: Size; transform: Transform },
): Patch {
  const [depth, height, width] = patch;
  const voxels = depth * height * width;
  const out = { image: new Float32Array(voxels * source.channels), labels: new Uint8Array(voxels) };
  const readVoxel = voxelReader(source, out);
  const m = transform;
  const left = start[2] - pivot[2];
  let to = 0;
  for (let z = 0; z < depth; z++) {
    const dz = z + start[0] - pivot[0];
    for (let y = 0; y < height; y++) {
      const dy = y + start[1] - pivot[1];
      const z0 = pivot[0] + m[0] * dz + m[1] * dy + m[2] * left;
      const y0 = pivot[1] + m[3] * dz + m[4] * dy + m[5] * left;
      const x0 = pivot[2] + m[6] * dz + m[7] * dy + m[8] * left;
      for (let x = 0; x < width; x++, to++)
        readVoxel(z0 + m[2] * x, y0 + m[5] * x, x0 + m[8] * x, to);
    }
  }
  return out;
}

/** Writes voxel `to` of a patch from a place between the voxels of its case. */
function voxelReader({ image, labels, shape, channels }: Source, out: Patch) {
  const depth = shape[0];
  const height = shape[1];
  const width = shape[2];
  const share = new Float64Array(8);
  const corner = new Int32Array(8);
  const vote = labelVote(labels, corner, share);
  return (z: number, y: number, x: number, to: number): void => {
    const z0 = Math.floor(z);
    const y0 = Math.floor(y);
    const x0 = Math.floor(x);
    if (z0 < -1 || y0 < -1 || x0 < -1 || z0 >= depth || y0 >= height || x0 >= width) return;
    for (let k = 0; k < 8; k++) {
      const zk = z0 + (k >> 2);
      const yk = y0 + ((k >> 1) & 1);
      const xk = x0 + (k & 1);
      const outside = zk < 0 || yk < 0 || xk < 0 || zk >= depth || yk >= height || xk >= width;
      corner[k] = outside ? -1 : (zk * height + yk) * width + xk;
      share[k] = (1 - Math.abs(z - zk)) * (1 - Math.abs(y - yk)) * (1 - Math.abs(x - xk));
    }
    out.labels[to] = vote();
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let k = 0; k < 8; k++)
        if (corner[k] >= 0) sum += share[k] * image[corner[k] * channels + c];
      out.image[to * channels + c] = sum;
    }
  };
}

/** Answers the class with the largest share of the eight corners; a corner of -1 is background. */
function labelVote(labels: Uint8Array, corner: Int32Array, share: Float64Array): () => number {
  const sums = new Float64Array(256);
  const found = new Uint8Array(8);
  return () => {
    let same = true;
    for (let k = 0; k < 8; k++) {
      found[k] = corner[k] < 0 ? 0 : labels[corner[k]];
      if (found[k] !== found[0]) same = false;
    }
    if (same) return found[0];
    for (let k = 0; k < 8; k++) sums[found[k]] += share[k];
    let best = found[0];
    for (let k = 1; k < 8; k++) if (sums[found[k]] > sums[best]) best = found[k];
    for (let k = 0; k < 8; k++) sums[found[k]] = 0;
    return best;
  };
}
