// 3D convolution and its two gradients from conv2d and matMul: depth is folded into the batch. This
// is what replaces the wasm kernels that are wrong (gradients) or slow (forward).

import * as tf from '@tensorflow/tfjs';
import { after, type ConvolutionSizes, padded, spread, tapPlanes } from './planes.ts';

type Five = [number, number, number, number, number];

function depthPadded(x: tf.Tensor, sizes: ConvolutionSizes): tf.Tensor3D {
  const [depth, height, width] = sizes.input;
  const planes = x.reshape<tf.Tensor3D>([sizes.batch, depth, height * width * sizes.inChannels]);
  return padded(planes, sizes.before[0], after(sizes, 0));
}

// Height and width padding as conv2d wants it. Trailing rows that no output reads are harmless
// there.
function planePads(
  sizes: ConvolutionSizes,
): [[number, number], [number, number], [number, number], [number, number]] {
  const [, top, left] = sizes.before;
  return [
    [0, 0],
    [top, Math.max(0, after(sizes, 1))],
    [left, Math.max(0, after(sizes, 2))],
    [0, 0],
  ];
}

/** Forward: the sum over depth taps of conv2d. x [B,D,H,W,C], filter [kd,kh,kw,C,Co]. */
export function convolution(x: tf.Tensor, filter: tf.Tensor, sizes: ConvolutionSizes): tf.Tensor5D {
  const [kd, kh, kw] = sizes.kernel;
  const { inChannels: c, outChannels: co, batch, output, input, strides } = sizes;
  const planes = depthPadded(x, sizes);
  const taps = filter.reshape<tf.Tensor2D>([kd, kh * kw * c * co]);
  let sum: tf.Tensor4D | null = null;
  for (let tap = 0; tap < kd; tap++) {
    const stack = tapPlanes(planes, { tap, outDepth: output[0], stride: strides[0] });
    const part = tf.conv2d(
      stack.reshape<tf.Tensor4D>([batch * output[0], input[1], input[2], c]),
      tf.slice2d(taps, [tap, 0], [1, kh * kw * c * co]).reshape<tf.Tensor4D>([kh, kw, c, co]),
      [strides[1], strides[2]],
      planePads(sizes) as unknown as 'same',
    );
    sum = sum === null ? part : tf.add(sum, part);
  }
  return (sum as tf.Tensor4D).reshape([batch, ...output, co] as Five);
}

/** Gradient by the input (and the transposed convolution): dy [B,Do,Ho,Wo,Co] -> [B,D,H,W,C]. */
export function inputGradient(
  dy: tf.Tensor,
  filter: tf.Tensor,
  sizes: ConvolutionSizes,
): tf.Tensor5D {
  const { kernel, strides, before, input, output } = sizes;
  const tiles = [0, 1, 2].every(
    (axis) =>
      kernel[axis] === strides[axis] &&
      before[axis] === 0 &&
      input[axis] === output[axis] * strides[axis],
  );
  return tiles ? tiledInputGradient(dy, filter, sizes) : generalInputGradient(dy, filter, sizes);
}

// Kernel equals stride: every input voxel meets one output voxel, so it is a matMul per (depth,
// row) of the kernel, with rows and planes put side by side.
function tiledInputGradient(
  dy: tf.Tensor,
  filter: tf.Tensor,
  sizes: ConvolutionSizes,
): tf.Tensor5D {
  const [kd, kh, kw] = sizes.kernel;
  const { inChannels: c, outChannels: co, batch, output, input } = sizes;
  const [depth, height, width] = output;
  const columns = tf.transpose(filter.reshape<tf.Tensor2D>([kd * kh * kw * c, co]));
  const voxels = dy.reshape<tf.Tensor2D>([batch * depth * height * width, co]);
  const planes: tf.Tensor2D[] = [];
  for (let z = 0; z < kd; z++) {
    const rows: tf.Tensor2D[] = [];
    for (let y = 0; y < kh; y++) {
      const part = tf.slice2d(columns, [0, (z * kh + y) * kw * c], [co, kw * c]);
      rows.push(
        tf.matMul(voxels, part).reshape<tf.Tensor2D>([batch * depth * height, width * kw * c]),
      );
    }
    const plane = kh === 1 ? rows[0] : tf.concat2d(rows, 1);
    planes.push(plane.reshape<tf.Tensor2D>([batch * depth, height * kh * width * kw * c]));
  }
  const whole = kd === 1 ? planes[0] : tf.concat2d(planes, 1);
  return whole.reshape([batch, ...input, c] as Five);
}

// Elsewhere: zeros between the voxels of dy, then a stride-1 convolution with the filter turned
// over.
function generalInputGradient(
  dy: tf.Tensor,
  filter: tf.Tensor,
  sizes: ConvolutionSizes,
): tf.Tensor5D {
  const { kernel, strides, before, input, output, batch, inChannels, outChannels: co } = sizes;
  const length = (axis: 0 | 1 | 2) => output[axis] * strides[axis];
  const turned: ConvolutionSizes = {
    batch,
    input: [length(0), length(1), length(2)],
    output: input,
    kernel,
    strides: [1, 1, 1],
    before: [kernel[0] - 1 - before[0], kernel[1] - 1 - before[1], kernel[2] - 1 - before[2]],
    inChannels: co,
    outChannels: inChannels,
  };
  let x: tf.Tensor = dy;
  for (const axis of [2, 1, 0] as const) {
    const rows = [batch, ...output].slice(0, axis + 1).reduce((a, b) => a * b, 1);
    x = spread(x.reshape<tf.Tensor3D>([rows, output[axis], -1]), strides[axis]);
    const behind = after(turned, axis);
    if (axis === 0 || (turned.before[axis] >= 0 && behind >= 0)) continue;
    // conv2d pads but does not cut.
    x = padded(x as tf.Tensor3D, turned.before[axis], behind);
    turned.input[axis] = input[axis] + kernel[axis] - 1;
    turned.before[axis] = 0;
  }
  return convolution(x, turnedOver(filter, sizes), turned);
}

// The filter mirrored in space, with its channels exchanged: [kd,kh,kw,Co,C].
function turnedOver(
  filter: tf.Tensor,
  { kernel, inChannels: c, outChannels: co }: ConvolutionSizes,
): tf.Tensor5D {
  const taps = kernel[0] * kernel[1] * kernel[2];
  const mirrored = tf.reverse(filter.reshape<tf.Tensor2D>([taps, c * co]), 0);
  const exchanged = tf.transpose(mirrored.reshape<tf.Tensor3D>([taps, c, co]), [0, 2, 1]);
  return exchanged.reshape([...kernel, co, c] as Five);
}

/**
 * Gradient by the filter: per depth tap one conv2d in which positions and channels change places.
 * The input is [1, H, W*C, B*Do] and dy is the kernel [Ho, Wo, B*Do, Co] with dilation stride*C
 * along the width, so the answer comes out as [kh, kw*C, Co] without another transpose.
 */
export function filterGradient(x: tf.Tensor, dy: tf.Tensor, sizes: ConvolutionSizes): tf.Tensor5D {
  const [kd, kh, kw] = sizes.kernel;
  const { inChannels: c, outChannels: co, batch, output, input, strides, before } = sizes;
  const stacked = batch * output[0];
  const [, height, width] = output;
  const kernels = tf
    .transpose(dy.reshape<tf.Tensor3D>([stacked, height * width, co]), [1, 0, 2])
    .reshape<tf.Tensor4D>([height, width, stacked, co]);
  const planes = depthPadded(x, sizes);
  const [below, right] = [after(sizes, 1), after(sizes, 2)];
  const pads = [
    [0, 0],
    [before[1], Math.max(0, below)],
    [before[2] * c, Math.max(0, right) * c],
    [0, 0],
  ];
  const parts: tf.Tensor2D[] = [];
  for (let tap = 0; tap < kd; tap++) {
    const stack = tapPlanes(planes, { tap, outDepth: output[0], stride: strides[0] });
    const turned = tf.transpose(stack).reshape<tf.Tensor4D>([1, input[1], input[2] * c, stacked]);
    const whole = tf.conv2d(turned, kernels, 1, pads as unknown as 'same', 'NHWC', [
      strides[1],
      strides[2] * c,
    ]);
    const part =
      below < 0 || right < 0 ? tf.slice4d(whole, [0, 0, 0, 0], [1, kh, kw * c, co]) : whole;
    parts.push(part.reshape([1, kh * kw * c * co]));
  }
  const joined = kd === 1 ? parts[0] : tf.concat2d(parts, 0);
  return joined.reshape([kd, kh, kw, c, co]);
}
