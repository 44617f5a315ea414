// The grid that all cases are brought to, by nnU-Net's rule (Isensee et al., 2021): the median
// spacing, but a thick axis is not made as coarse as its median.

import type { Size } from '../nifti.ts';
import { resampledShape } from '../resampling/resample.ts';

/** Grid of one case. */
export type CaseGrid = { shape: Size; spacing: Size };

/** The value below which a share of `values` lies, between two of them linearly, as in numpy. */
export function quantile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

const quantiles = (sizes: Size[], share: number): Size =>
  [0, 1, 2].map((axis) =>
    quantile(
      sizes.map((size) => size[axis]),
      share,
    ),
  ) as Size;

/**
 * Median spacing per axis, in mm. Where the coarsest axis is more than three times as coarse as the
 * next and has less than a third of the next axis' voxels, it gets the tenth percentile of its
 * spacings instead, but stays coarser than the others.
 */
export function targetSpacing(grids: CaseGrid[]): Size {
  const spacings = grids.map(({ spacing }) => spacing);
  const target = quantiles(spacings, 0.5);
  const shape = quantiles(
    grids.map((grid) => grid.shape),
    0.5,
  );
  const coarsest = target.indexOf(Math.max(...target));
  const others = [0, 1, 2].filter((axis) => axis !== coarsest);
  const next = Math.max(...others.map((axis) => target[axis]));
  const fewest = Math.min(...others.map((axis) => shape[axis]));
  if (target[coarsest] <= 3 * next || shape[coarsest] * 3 >= fewest) return target;
  const fine = quantile(
    spacings.map((spacing) => spacing[coarsest]),
    0.1,
  );
  target[coarsest] = fine > next ? fine : next * (1 + 1e-6);
  return target;
}

/** Median shape in voxels of the cases at the target spacing, and how many of them change. */
export function medianShapeAt(grids: CaseGrid[], target: Size): { shape: Size; changed: number } {
  const shapes = grids.map(({ shape, spacing }) => resampledShape(shape, spacing, target));
  const changed = grids.filter(({ shape }, k) => shape.some((n, axis) => n !== shapes[k][axis]));
  const shape = quantiles(shapes, 0.5).map((length) => Math.round(length)) as Size;
  return { shape, changed: changed.length };
}
