// What a training step keeps in memory, as an estimate from sizes alone.

import type { Size } from '../nifti.ts';

/** What the estimate depends on; `classes` counts the background. */
export type StepSize = {
  patch: Size;
  batchSize: number;
  channels: number;
  classes: number;
  features: number[];
  kernels: Size[];
  strides: Size[];
};

const bytesOfFloat = 4;
/** Value, gradient, two moments and the moving average of a parameter. */
const copiesOfParameter = 5;
/** Arrays kept per level, each voxels times features long: see README.md. */
const encoderArrays = 5;
const decoderArrays = 8;
/** An activation and its gradient. */
const withGradients = 2;
/** Logits, their softmax, its logarithm and the labels one-hot. */
const arraysOfLoss = 4;

const product = (size: Size): number => size[0] * size[1] * size[2];

/** Trained numbers of the U-Net of `network.ts`, norms included. */
export function parameterCount(size: Omit<StepSize, 'patch' | 'batchSize'>): number {
  const { channels, classes, features, kernels, strides } = size;
  let count = features[0] * classes + classes;
  for (const [level, to] of features.entries()) {
    const kernel = product(kernels[level]);
    const coarser = features[level + 1];
    const from = level === 0 ? channels : to;
    count += kernel * (from + to) * to + 4 * to;
    if (level > 0) count += product(strides[level]) * features[level - 1] * to;
    if (coarser === undefined) continue;
    count += product(strides[level + 1]) * to * coarser + kernel * 3 * to * to + 4 * to;
  }
  return count;
}

/** Bytes of one training step with all cases of a batch at once, all of it float32. */
export function stepBytes(size: StepSize): number {
  const { patch, batchSize, channels, classes, features, strides } = size;
  let voxels = product(patch);
  let floats = voxels * (channels + arraysOfLoss * classes);
  for (const [level, count] of features.entries()) {
    voxels /= product(strides[level]);
    const arrays = encoderArrays + (level === features.length - 1 ? 0 : decoderArrays);
    floats += arrays * voxels * count;
  }
  const parameters = copiesOfParameter * parameterCount(size);
  return bytesOfFloat * (withGradients * batchSize * floats + parameters);
}
