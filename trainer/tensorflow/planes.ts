// Volumes as stacks of planes: everything here keeps to rank 3 or less over contiguous chunks,
// because wasm's slices and transposes of higher rank are many times slower.

import * as tf from '@tensorflow/tfjs';

/** Sizes of one strided convolution along depth, height and width. */
export type ConvolutionSizes = {
  batch: number;
  input: [number, number, number];
  output: [number, number, number];
  kernel: [number, number, number];
  strides: [number, number, number];
  /** Zero planes before the first one, per axis. */
  before: [number, number, number];
  inChannels: number;
  outChannels: number;
};

export type ConvolutionAttributes = {
  strides: number | number[];
  pad: 'same' | 'valid' | number | number[][];
  dilations?: number | number[];
  dataFormat?: string;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
};

/** Sizes of a 3D convolution, as tfjs itself computes them. */
export function volumeSizes(
  inputShape: number[],
  filterShape: number[],
  attributes: ConvolutionAttributes,
): ConvolutionSizes {
  requirePlain(attributes, 'NDHWC');
  const info = tf.backend_util.computeConv3DInfo(
    inputShape as [number, number, number, number, number],
    filterShape as [number, number, number, number, number],
    attributes.strides as [number, number, number],
    1,
    attributes.pad as 'same',
    false,
    'channelsLast',
    attributes.dimRoundingMode,
  );
  const { front, top, left } = info.padInfo;
  return {
    batch: info.batchSize,
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    // tfjs's 3D sizes go below zero where a stride skips the end; TensorFlow's, and tfjs's 2D, do
    // not.
    before: [Math.max(0, front), Math.max(0, top), Math.max(0, left)],
    inChannels: info.inChannels,
    outChannels: info.outChannels,
  };
}

/** Sizes of a 2D convolution, seen as one of depth 1. */
export function planeSizes(
  inputShape: number[],
  filterShape: number[],
  attributes: ConvolutionAttributes,
): ConvolutionSizes {
  requirePlain(attributes, 'NHWC');
  const info = tf.backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attributes.strides as [number, number],
    1,
    attributes.pad as 'same',
    attributes.dimRoundingMode,
  );
  return {
    batch: info.batchSize,
    input: [1, info.inHeight, info.inWidth],
    output: [1, info.outHeight, info.outWidth],
    kernel: [1, info.filterHeight, info.filterWidth],
    strides: [1, info.strideHeight, info.strideWidth],
    before: [0, info.padInfo.top, info.padInfo.left],
    inChannels: info.inChannels,
    outChannels: info.outChannels,
  };
}

// What these kernels cannot do is refused: a wrong number without an error is what they are here
// for.
function requirePlain({ dilations = 1, dataFormat }: ConvolutionAttributes, format: string): void {
  if ([dilations].flat().some((by) => by !== 1)) {
    throw new Error('these kernels have no dilated convolution; no backend has its gradient');
  }
  if (dataFormat !== undefined && dataFormat !== format) {
    throw new Error(`these kernels know ${format} only, not ${dataFormat}`);
  }
}

/** Zeros needed after the last plane of an axis; negative where trailing planes go unused. */
export function after(sizes: ConvolutionSizes, axis: 0 | 1 | 2): number {
  const { input, output, kernel, strides, before } = sizes;
  return (output[axis] - 1) * strides[axis] + kernel[axis] - input[axis] - before[axis];
}

/** Pads (or, where negative, cuts) the middle axis of a rank-3 tensor. */
export function padded(x: tf.Tensor3D, before: number, behind: number): tf.Tensor3D {
  const [rows, length, width] = x.shape;
  const cutBefore = Math.max(0, -before);
  const cutBehind = Math.max(0, -behind);
  const cut =
    cutBefore + cutBehind === 0
      ? x
      : tf.slice3d(x, [0, cutBefore, 0], [rows, length - cutBefore - cutBehind, width]);
  if (before <= 0 && behind <= 0) return cut;
  return tf.pad3d(cut, [
    [0, 0],
    [Math.max(0, before), Math.max(0, behind)],
    [0, 0],
  ]);
}

/** Puts stride - 1 zero rows behind every row of the middle axis. */
export function spread(x: tf.Tensor3D, stride: number): tf.Tensor3D {
  const [rows, length, width] = x.shape;
  if (stride === 1) return x;
  const apart = tf.pad3d(x.reshape<tf.Tensor3D>([rows * length, 1, width]), [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  return apart.reshape([rows, length * stride, width]);
}

/**
 * The input planes that depth tap `tap` of the kernel meets, one per output plane:
 * [batch * outDepth, height * width * channels] from a depth-padded [batch, depth, rest].
 */
export function tapPlanes(
  x: tf.Tensor3D,
  { tap, outDepth, stride }: { tap: number; outDepth: number; stride: number },
): tf.Tensor2D {
  const [batch, depth, width] = x.shape;
  if (stride === 1 && outDepth === depth) return x.reshape([batch * depth, width]);
  const wanted = outDepth * stride;
  if (stride === 1) {
    return tf.slice3d(x, [0, tap, 0], [batch, outDepth, width]).reshape([batch * outDepth, width]);
  }
  const from = Math.min(tap, Math.max(0, depth - wanted));
  const missing = from + wanted - depth;
  const run = tf.slice3d(padded(x, 0, Math.max(0, missing)), [0, from, 0], [batch, wanted, width]);
  return tf
    .slice3d(
      run.reshape<tf.Tensor3D>([batch * outDepth, stride, width]),
      [0, tap - from, 0],
      [batch * outDepth, 1, width],
    )
    .reshape([batch * outDepth, width]);
}
