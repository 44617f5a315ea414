// Images and labels on another grid, as nnU-Net does it: images by cubic splines, probabilities
// linearly, labels by the largest of their classes' linear shares. Thick slices are not mixed.

import type { Size } from '../nifti.ts';
import { type Order, plainTaps, resampleAxis } from './spline.ts';

/** Interpolation of the axes [z, y, x]. */
export type Orders = [Order, Order, Order];

/** Shape of a volume at another spacing: its extent stays, and so does an axis of one voxel. */
export function resampledShape(shape: Size, spacing: Size, target: Size): Size {
  return shape.map((length, axis) =>
    length === 1 ? 1 : Math.max(1, Math.round((length * spacing[axis]) / target[axis])),
  ) as Size;
}

/**
 * The one axis whose voxels are more than three times as long as the shortest, or null; first of
 * the old grid, else of the new one. nnU-Net takes the nearest slice there instead of mixing them.
 */
export function thickAxis(spacing: Size, target: Size): number | null {
  for (const grid of [spacing, target]) {
    const longest = Math.max(...grid);
    if (longest <= 3 * Math.min(...grid)) continue;
    const axes = [0, 1, 2].filter((axis) => grid[axis] === longest);
    return axes.length === 1 ? axes[0] : null;
  }
  return null;
}

/** The given order everywhere, but 0 along a thick axis. */
export function ordersBetween(spacing: Size, target: Size, order: Order): Orders {
  const thick = thickAxis(spacing, target);
  return [0, 1, 2].map((axis) => (axis === thick ? 0 : order)) as Orders;
}

export type Grid = { shape: Size; channels: number };

/**
 * `data` [z, y, x, channel] on a grid of `newShape` voxels with the same outer faces. Cubic values
 * stay within the range of their channel. The same shape answers the same array.
 */
export function resampleArray(
  data: Float32Array,
  { shape, channels }: Grid,
  newShape: Size,
  orders: Orders,
): Float32Array {
  const ranges = orders.includes(3) ? channelRanges(data, channels) : null;
  let values = data;
  const now: Size = [...shape];
  for (const axis of [0, 1, 2].sort((a, b) => newShape[a] / shape[a] - newShape[b] / shape[b])) {
    if (now[axis] === newShape[axis]) continue;
    const outer = now.slice(0, axis).reduce((a, b) => a * b, 1);
    const inner = now.slice(axis + 1).reduce((a, b) => a * b, channels);
    const view = { outer, length: now[axis], inner };
    values = resampleAxis(values, view, newShape[axis], orders[axis]);
    now[axis] = newShape[axis];
  }
  if (values !== data && ranges !== null) clipToRanges(values, ranges);
  return values;
}

type Ranges = { low: Float32Array; high: Float32Array };

function channelRanges(data: Float32Array, channels: number): Ranges {
  const low = new Float32Array(channels).fill(Number.POSITIVE_INFINITY);
  const high = new Float32Array(channels).fill(Number.NEGATIVE_INFINITY);
  for (let at = 0; at < data.length; at += channels) {
    for (let k = 0; k < channels; k++) {
      if (data[at + k] < low[k]) low[k] = data[at + k];
      if (data[at + k] > high[k]) high[k] = data[at + k];
    }
  }
  return { low, high };
}

function clipToRanges(values: Float32Array, { low, high }: Ranges): void {
  const channels = low.length;
  for (let at = 0; at < values.length; at += channels) {
    for (let k = 0; k < channels; k++) {
      if (values[at + k] < low[k]) values[at + k] = low[k];
      else if (values[at + k] > high[k]) values[at + k] = high[k];
    }
  }
}

/**
 * Labels [z, y, x] on another grid: at every new voxel the class with the largest linear share,
 * the higher value where two are level. The same shape answers the same array.
 */
export function resampleLabels(
  labels: Uint8Array,
  shape: Size,
  newShape: Size,
  orders: Orders,
): Uint8Array {
  if (shape.every((length, axis) => length === newShape[axis])) return labels;
  const [zs, ys, xs] = orders.map((order, axis) =>
    plainTaps(shape[axis], newShape[axis], order === 0 ? 0 : 1),
  );
  const out = new Uint8Array(newShape[0] * newShape[1] * newShape[2]);
  const vote = createVote();
  let at = 0;
  for (let z = 0; z < newShape[0]; z++) {
    for (let y = 0; y < newShape[1]; y++) {
      for (let x = 0; x < newShape[2]; x++) {
        for (let corner = 0; corner < 8; corner++) {
          const [k, j, i] = [corner >> 2, (corner >> 1) & 1, corner & 1];
          const share = zs.shares[2 * z + k] * ys.shares[2 * y + j] * xs.shares[2 * x + i];
          if (share === 0) continue;
          const row = (zs.first[z] + k) * shape[1] + ys.first[y] + j;
          vote.add(labels[row * shape[2] + xs.first[x] + i], share);
        }
        out[at++] = vote.winner();
      }
    }
  }
  return out;
}

/** Adds up shares per class; `winner` answers the largest and starts over. */
function createVote() {
  const shares = new Float64Array(256);
  const named: number[] = [];
  return {
    add: (label: number, share: number) => {
      if (shares[label] === 0) named.push(label);
      shares[label] += share;
    },
    winner: () => {
      let best = named[0];
      for (const label of named) {
        const more = shares[label] - shares[best];
        if (more > 1e-12 || (more > -1e-12 && label > best)) best = label;
      }
      for (const label of named) shares[label] = 0;
      named.length = 0;
      return best;
    },
  };
}
