// Slice on wasm. The stock kernel first copies its whole input out of the heap, however little is
// asked for; this one copies only the runs that are wanted, inside the heap.

import type { TensorInfo } from '@tensorflow/tfjs';
import { slice_util, util } from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** x cut to `size` from `begin` on; any rank, any type but strings. */
export function sliceInHeap(
  backend: BackendWasm,
  x: TensorInfo,
  { begin, size }: { begin: number | number[]; size: number | number[] },
): TensorInfo {
  const [from, wanted] = slice_util.parseSliceParams(
    x as Parameters<typeof slice_util.parseSliceParams>[0],
    begin,
    size,
  );
  slice_util.assertParamsValid(
    x as Parameters<typeof slice_util.assertParamsValid>[0],
    from,
    wanted,
  );
  const out = backend.makeOutput(wanted, x.dtype);
  if (util.sizeFromShape(wanted) === 0) return out;
  // Making the output may have moved the heap, so both views are taken after it.
  const source = backend.typedArrayFromHeap(x);
  const target = backend.typedArrayFromHeap(out);
  const { run, starts } = runsOf(x.shape, from, wanted);
  let position = 0;
  for (const start of starts) {
    target.set(source.subarray(start, start + run), position);
    position += run;
  }
  return out;
}

// Where each unbroken run starts in the input, and how long all of them are.
function runsOf(
  shape: number[],
  from: number[],
  wanted: number[],
): { run: number; starts: number[] } {
  let axis = shape.length;
  let run = 1;
  let stride = 1;
  let base = 0;
  while (axis > 0) {
    axis--;
    run *= wanted[axis];
    base += from[axis] * stride;
    stride *= shape[axis];
    if (wanted[axis] !== shape[axis]) break;
  }
  let starts = [base];
  while (axis > 0) {
    axis--;
    const [first, count, step] = [from[axis], wanted[axis], stride];
    const inner = starts;
    starts = Array.from({ length: count }, (_, k) =>
      inner.map((start) => start + (first + k) * step),
    ).flat();
    stride *= shape[axis];
  }
  return { run, starts };
}
