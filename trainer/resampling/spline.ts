// One axis of a volume on a new number of voxels: nearest, linear, or cubic B-spline. The grid
// keeps its outer faces: new voxel j has its centre at (j + 1/2) n / m - 1/2, as in scipy.

/** Interpolation along one axis: 0 the nearest voxel, 1 linear, 3 cubic B-spline. */
export type Order = 0 | 1 | 3;

/** An array as [outer, length, inner] around the axis in question. */
export type AxisView = { outer: number; length: number; inner: number };

/** By how much the border voxel is repeated before the spline's filter: 0.27^12 is 1e-7. */
const padding = 12;
const pole = Math.sqrt(3) - 2;
/** So many lines are filtered beside each other. */
const blockWidth = 64;

/** `data` [outer, length, inner] -> [outer, newLength, inner]; borders repeat the last voxel. */
export function resampleAxis(
  data: Float32Array,
  { outer, length, inner }: AxisView,
  newLength: number,
  order: Order,
): Float32Array {
  const out = new Float32Array(outer * newLength * inner);
  const taps = order === 3 ? cubicTaps(length, newLength) : plainTaps(length, newLength, order);
  const width = Math.min(inner, blockWidth);
  const block = new Float64Array((length + 2 * padding) * width);
  for (let o = 0; o < outer; o++) {
    for (let from = 0; from < inner; from += width) {
      const lines = Math.min(width, inner - from);
      const start = o * length * inner + from;
      if (order === 3) loadFiltered(block, { data, start, length, inner, lines });
      else loadPlain(block, { data, start, length, inner, lines });
      writeTaps(out, { block, taps, lines, inner, start: o * newLength * inner + from });
    }
  }
  return out;
}

/** Of each new voxel: the first row of the block that it reads, and the share of each row. */
export type Taps = { first: Int32Array; shares: Float64Array; count: number };

/** Centre of new voxel `at` among the old ones. */
function centreOf(at: number, length: number, newLength: number): number {
  return ((at + 0.5) * length) / newLength - 0.5;
}

/** Taps of order 0 or 1; rows are the voxels themselves, the border's one repeated. */
export function plainTaps(length: number, newLength: number, order: 0 | 1): Taps {
  const first = new Int32Array(newLength);
  const shares = new Float64Array(2 * newLength);
  for (let at = 0; at < newLength; at++) {
    const centre = Math.min(Math.max(centreOf(at, length, newLength), 0), length - 1);
    const voxel = order === 0 ? Math.floor(centre + 0.5) : Math.floor(centre);
    first[at] = Math.max(0, Math.min(voxel, length - 2));
    const share = length === 1 ? 0 : order === 0 ? voxel - first[at] : centre - first[at];
    shares.set([1 - share, share], 2 * at);
  }
  return { first, shares, count: 2 };
}

function cubicTaps(length: number, newLength: number): Taps {
  const first = new Int32Array(newLength);
  const shares = new Float64Array(4 * newLength);
  for (let at = 0; at < newLength; at++) {
    const centre = centreOf(at, length, newLength);
    const voxel = Math.floor(centre);
    const t = centre - voxel;
    const inner = (s: number) => (4 - 6 * s * s + 3 * s * s * s) / 6;
    first[at] = voxel - 1 + padding;
    shares.set([(1 - t) ** 3 / 6, inner(t), inner(1 - t), t ** 3 / 6], 4 * at);
  }
  return { first, shares, count: 4 };
}

type Lines = {
  data: Float32Array;
  start: number;
  length: number;
  inner: number;
  lines: number;
};

// Rows of the block are voxels along the axis, its columns the lines.
function loadPlain(block: Float64Array, { data, start, length, inner, lines }: Lines): void {
  for (let k = 0; k < length; k++) {
    const from = start + k * inner;
    block.set(data.subarray(from, from + lines), k * lines);
  }
  // A tap of share 0 may read one row further.
  if (length === 1) block.copyWithin(lines, 0, lines);
}

/**
 * B-spline coefficients of the lines, with `padding` rows before and behind: a causal and an
 * anticausal pass with the cubic spline's pole (Unser, 1999), the line mirrored at its ends.
 */
function loadFiltered(block: Float64Array, { data, start, length, inner, lines }: Lines): void {
  const rows = length + 2 * padding;
  for (let row = 0; row < rows; row++) {
    const voxel = Math.min(Math.max(row - padding, 0), length - 1);
    for (let i = 0; i < lines; i++) block[row * lines + i] = 6 * data[start + voxel * inner + i];
  }
  for (let i = 0; i < lines; i++) {
    let before = 0;
    for (let row = Math.min(rows, 30) - 1; row >= 0; row--) {
      before = pole * (block[row * lines + i] + before);
    }
    block[i] += before;
  }
  for (let at = lines; at < rows * lines; at++) block[at] += pole * block[at - lines];
  const last = (rows - 1) * lines;
  for (let i = 0; i < lines; i++) block[last + i] *= pole / (pole - 1);
  for (let at = last - 1; at >= 0; at--) block[at] = pole * (block[at + lines] - block[at]);
}

function writeTaps(
  out: Float32Array,
  given: { block: Float64Array; taps: Taps; lines: number; inner: number; start: number },
): void {
  const { block, taps, lines, inner, start } = given;
  const { first, shares, count } = taps;
  for (let at = 0; at < first.length; at++) {
    for (let i = 0; i < lines; i++) {
      let sum = 0;
      for (let tap = 0; tap < count; tap++) {
        sum += shares[count * at + tap] * block[(first[at] + tap) * lines + i];
      }
      out[start + at * inner + i] = sum;
    }
  }
}
