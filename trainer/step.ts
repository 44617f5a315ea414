// One training step: draw losses, gradients, clipping, Adam. A loss or gradient that is not finite
// never reaches the parameters; the step is skipped and says so.

import * as tf from '@tensorflow/tfjs';
import type { LabelTask } from './labels.ts';
import { batchLoss } from './loss.ts';
import type { Network } from './network.ts';
import type { Size } from './nifti.ts';
import { globalNorm, type Optimizer } from './optimizer.ts';
import { taskLosses } from './region-loss.ts';

/** Voxels of `count` patches, [count, depth, height, width, channel], and their classes. */
export type Batch = { images: Float32Array; labels: Int32Array };

export type StepInput = {
  network: Network;
  optimizer: Optimizer;
  /** [B,D,H,W,C] */
  images: tf.Tensor5D;
  /** int32 [B,D,H,W] */
  labels: tf.Tensor4D;
  /** One factor per case of the batch. */
  lossFactors: ArrayLike<number>;
  learningRate: number;
  /** What the labels mean; plain classes without it. */
  task?: LabelTask;
};

export type StepResult = {
  /** (1/B) sum of factor times loss. */
  loss: number;
  /** Each case's own loss, without its factor. */
  caseLosses: Float32Array;
  gradientNorm: number;
  clipped: boolean;
  skipped: boolean;
};

/** Trains on one batch. Leaves no tensor behind; `images` and `labels` stay the caller's. */
export function trainStep({ optimizer, learningRate, ...input }: StepInput): StepResult {
  return applyPart(optimizer, lossAndGradients(input), learningRate);
}

/** A loss, its cases' losses, and the gradient of every parameter in order. */
export type Part = { loss: number; losses: Float32Array; gradients: Float32Array[] };

/** Moves the parameters by a batch's gradients, unless something in them is not finite. */
export function applyPart(
  optimizer: Optimizer,
  { loss, losses, gradients }: Part,
  learningRate: number,
): StepResult {
  const finite = Number.isFinite(loss) && Number.isFinite(globalNorm(gradients));
  if (!finite) {
    return { loss, caseLosses: losses, gradientNorm: Number.NaN, clipped: false, skipped: true };
  }
  const { gradientNorm, clipped } = optimizer.apply(gradients, learningRate);
  return { loss, caseLosses: losses, gradientNorm, clipped, skipped: false };
}

/** What parts of one batch are together; they are added in their order. */
export function sumOfParts(parts: Part[]): Part {
  const losses = new Float32Array(parts.reduce((count, part) => count + part.losses.length, 0));
  let at = 0;
  for (const part of parts) {
    losses.set(part.losses, at);
    at += part.losses.length;
  }
  const [first, ...rest] = parts;
  for (const part of rest) {
    for (const [k, sum] of first.gradients.entries()) add(sum, part.gradients[k]);
  }
  const loss = parts.reduce((sum, part) => sum + part.loss, 0);
  return { loss, losses, gradients: first.gradients };
}

function add(sum: Float32Array, more: Float32Array): void {
  for (let k = 0; k < sum.length; k++) sum[k] += more[k];
}

/** From this many voxels on, each case of a batch is computed for itself: leaner, and faster. */
const voxelsAlone = 2 ** 14;

/** Whether cases of `voxels` voxels are computed one by one. */
export const caseByCase = (voxels: number): boolean => voxels >= voxelsAlone;

/**
 * (1/count) sum of factor times loss over the cases given, with gradients; `count` is the number of
 * cases of the whole batch where these are a part of it. images [B,D,H,W,C], labels [B,D,H,W].
 */
export function lossAndGradients({
  network,
  images,
  labels,
  lossFactors,
  task,
  count = images.shape[0],
}: Omit<StepInput, 'optimizer' | 'learningRate'> & { count?: number }): Part {
  const given = images.shape[0];
  const alone = given > 1 && caseByCase(labels.size / given);
  const parts: Part[] = [];
  for (let from = 0; from < given; from += alone ? 1 : given) {
    // Nothing is returned from `tidy`: it would look for tensors among the numbers, one by one.
    tf.tidy(() => {
      const some = alone
        ? [tf.slice(images, from, 1), tf.slice(labels, from, 1)]
        : [images, labels];
      const [x, truth] = some as [tf.Tensor5D, tf.Tensor4D];
      const factors = alone ? [lossFactors[from]] : lossFactors;
      parts.push(partOfBatch(network, { x, truth, factors, count, task }));
    });
  }
  return sumOfParts(parts);
}

// Some cases' part of (1/count) sum of factor times loss.
function partOfBatch(
  network: Network,
  given: {
    x: tf.Tensor5D;
    truth: tf.Tensor4D;
    factors: ArrayLike<number>;
    count: number;
    task: LabelTask | undefined;
  },
): Part {
  const { x, truth, factors, count, task } = given;
  let kept: tf.Tensor1D | null = null;
  const variables = network.parameters.map(({ variable }) => variable);
  const { value, grads } = tf.variableGrads(() => {
    const { losses, supervised } = lossesOfOutputs(network, { x, truth, task });
    kept = tf.keep(losses.clone());
    return batchLoss(supervised, factors, count);
  }, variables);
  const losses = (kept as unknown as tf.Tensor1D).dataSync<'float32'>();
  (kept as unknown as tf.Tensor1D).dispose();
  const gradients = variables.map(({ name }) => grads[name].dataSync<'float32'>().slice());
  return { loss: value.dataSync()[0], losses, gradients };
}

// Each case's loss, and what it learns from: with deep supervision the mean over the levels, each
// weighing half of the one above it (as in nnU-Net), against labels taken at its voxels.
function lossesOfOutputs(
  network: Network,
  { x, truth, task }: { x: tf.Tensor5D; truth: tf.Tensor4D; task: LabelTask | undefined },
) {
  const outputs = network.outputs(x);
  const losses = taskLosses(outputs[0], truth, task);
  let supervised = losses;
  let total = 1;
  for (const [level, logits] of outputs.entries()) {
    if (level === 0) continue;
    const coarse = everyNth(truth, network.outputStrides[level]);
    supervised = tf.add(supervised, tf.mul(taskLosses(logits, coarse, task), 2 ** -level));
    total += 2 ** -level;
  }
  return { losses, supervised: outputs.length === 1 ? losses : supervised.div<tf.Tensor1D>(total) };
}

// As floats and back: wasm strides any tensor as float32 and says so of its answer.
function everyNth(labels: tf.Tensor4D, [z, y, x]: Size): tf.Tensor4D {
  const values = labels.toFloat();
  return tf.stridedSlice(values, [0, 0, 0, 0], labels.shape, [1, z, y, x]).toInt() as tf.Tensor4D;
}
