// What a training step keeps in memory, as an estimate from sizes alone.

import type { Size } from '../nifti.ts';
import { caseByCase } from '../step.ts';

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

/**
 * Arrays of a step while they live longest, each voxels times features (classes, channels) long:
 * measured with `tf.profile`, whose numbers stand in README.md.
 */
export type ArrayCounts = { encoder: number; decoder: number; classes: number; channels: number };

/** Where convolutions are put together from smaller operations. */
export const wasmArrays: ArrayCounts = { encoder: 39, decoder: 37, classes: 24, channels: 8 };
export const nativeArrays: ArrayCounts = { encoder: 14, decoder: 25, classes: 24, channels: 2 };

/** The heap of wasm ends at 4 GiB: a larger budget is one of the native backend. */
export const arraysWithin = (memoryMiB: number): ArrayCounts =>
  memoryMiB <= 4096 ? wasmArrays : nativeArrays;

const bytesOfFloat = 4;
/** Value, gradient, two moments and the moving average of a parameter. */
const copiesOfParameter = 5;
/** Large cases of a batch are computed one by one, on wasm by as many cores as there are. */
const coresAssumed = 2;

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

/** Bytes of one training step, all of it float32. */
export function stepBytes(size: StepSize, arrays: ArrayCounts): number {
  const { patch, batchSize, channels, classes, features, strides } = size;
  let voxels = product(patch);
  const cases = caseByCase(voxels) ? Math.min(batchSize, coresAssumed) : batchSize;
  let floats = voxels * (arrays.channels * channels + arrays.classes * classes);
  for (const [level, count] of features.entries()) {
    voxels /= product(strides[level]);
    const up = level === features.length - 1 ? 0 : arrays.decoder;
    floats += (arrays.encoder + up) * voxels * count;
  }
  return bytesOfFloat * (cases * floats + copiesOfParameter * parameterCount(size));
}
