// Where a network halves which axis and how wide its kernels are, from spacing and patch alone
// (Isensee et al., 2021): coarse axes wait until the fine ones have caught up with them.

import type { Size } from '../nifti.ts';

/** No axis of a feature map gets smaller than this by itself. */
export const smallestFeatureMap = 4;

/** Spacings within this factor of the finest count as alike. */
const alike = 2;

const one = (): Size => [1, 1, 1];

/**
 * Strides per level, the first [1, 1, 1]: each level halves the axes that are within a factor of 2
 * of the finest and have at least 8 voxels. Ends at `levels`, or earlier when no axis is left;
 * with `exact` it goes on by halving smaller axes, too, and ends early only at single voxels.
 */
export function stridesFor(
  spacing: Size,
  patch: Size,
  { levels, exact }: { levels: number; exact: boolean },
): Size[] {
  const strides = [one()];
  const now = { spacing: [...spacing] as Size, size: [...patch] as Size };
  while (strides.length < levels) {
    let axes = axesToHalve(now, 2 * smallestFeatureMap);
    if (axes.length === 1 && now.size[axes[0]] < 3 * smallestFeatureMap) axes = [];
    if (axes.length === 0 && exact) axes = axesToHalve(now, 2);
    if (axes.length === 0) break;
    const stride = one();
    for (const axis of axes) {
      stride[axis] = 2;
      now.spacing[axis] *= 2;
      now.size[axis] = Math.ceil(now.size[axis] / 2);
    }
    strides.push(stride);
  }
  return strides;
}

function axesToHalve(now: { spacing: Size; size: Size }, atLeast: number): number[] {
  const large = [0, 1, 2].filter((axis) => now.size[axis] >= atLeast);
  const finest = Math.min(...large.map((axis) => now.spacing[axis]));
  return large.filter((axis) => now.spacing[axis] < alike * finest);
}

/**
 * Kernels per level: 1 along an axis until its spacing is within a factor of 2 of the finest, 3
 * from then on and at the coarsest level; always 1 along an axis of one voxel.
 */
export function kernelsFor(spacing: Size, patch: Size, strides: Size[]): Size[] {
  const deep = [0, 1, 2].filter((axis) => patch[axis] > 1);
  const now = [...spacing] as Size;
  const kernel = one();
  return strides.map((stride, level) => {
    for (const axis of deep) now[axis] *= stride[axis];
    const finest = Math.min(...deep.map((axis) => now[axis]));
    const last = level > 0 && level === strides.length - 1;
    for (const axis of deep) if (last || now[axis] < alike * finest) kernel[axis] = 3;
    return [...kernel];
  });
}

/** What the sides of a patch must be multiples of. */
export function divisorsOf(strides: Size[]): Size {
  return [0, 1, 2].map((axis) =>
    strides.reduce((product, stride) => product * stride[axis], 1),
  ) as Size;
}
