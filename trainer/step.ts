// One training step: draw losses, gradients, clipping, Adam. A loss or gradient that is not finite
// never reaches the parameters; the step is skipped and says so.

import * as tf from '@tensorflow/tfjs';
import { batchLoss, caseLosses } from './loss.ts';
import type { Network } from './network.ts';
import type { Size } from './nifti.ts';
import { globalNorm, type Optimizer } from './optimizer.ts';

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
export function trainStep(input: StepInput): StepResult {
  const { network, optimizer, images, labels, lossFactors } = input;
  const { loss, losses, gradients } = lossAndGradients({ network, images, labels, lossFactors });
  const finite = Number.isFinite(loss) && Number.isFinite(globalNorm(gradients));
  if (!finite) {
    return { loss, caseLosses: losses, gradientNorm: Number.NaN, clipped: false, skipped: true };
  }
  const { gradientNorm, clipped } = optimizer.apply(gradients, input.learningRate);
  return { loss, caseLosses: losses, gradientNorm, clipped, skipped: false };
}

type Part = { loss: number; losses: Float32Array; gradients: Float32Array[] };

/** From this many voxels on, each case of a batch is computed for itself: less memory, and faster. */
const voxelsAlone = 2 ** 14;

/** The batch's loss, its cases' losses, and the gradient of every parameter in order. */
export function lossAndGradients({
  network,
  images,
  labels,
  lossFactors,
}: Omit<StepInput, 'optimizer' | 'learningRate'>): {
  loss: number;
  losses: Float32Array;
  gradients: Float32Array[];
} {
  const count = images.shape[0];
  const alone = count > 1 && labels.size / count >= voxelsAlone;
  const losses = new Float32Array(count);
  let loss = 0;
  let gradients: Float32Array[] = [];
  for (let from = 0; from < count; from += alone ? 1 : count) {
    let part!: Part;
    // Nothing is returned from `tidy`: it would look for tensors among the numbers, one by one.
    tf.tidy(() => {
      const some = alone
        ? [tf.slice(images, from, 1), tf.slice(labels, from, 1)]
        : [images, labels];
      const [x, truth] = some as [tf.Tensor5D, tf.Tensor4D];
      const factors = alone ? [lossFactors[from]] : lossFactors;
      part = partOfBatch(network, { x, truth, factors, count });
    });
    losses.set(part.losses, from);
    loss += part.loss;
    gradients = from === 0 ? part.gradients : gradients.map((a, k) => added(a, part.gradients[k]));
  }
  return { loss, losses, gradients };
}

function added(sum: Float32Array, more: Float32Array): Float32Array {
  for (let k = 0; k < sum.length; k++) sum[k] += more[k];
  return sum;
}

// Some cases' part of (1/count) sum of factor times loss.
function partOfBatch(
  network: Network,
  given: { x: tf.Tensor5D; truth: tf.Tensor4D; factors: ArrayLike<number>; count: number },
): Part {
  const { x, truth, factors, count } = given;
  let kept: tf.Tensor1D | null = null;
  const variables = network.parameters.map(({ variable }) => variable);
  const { value, grads } = tf.variableGrads(() => {
    const { losses, supervised } = lossesOfOutputs(network, x, truth);
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
function lossesOfOutputs(network: Network, x: tf.Tensor5D, truth: tf.Tensor4D) {
  const outputs = network.outputs(x);
  const losses = caseLosses(outputs[0], truth);
  let supervised = losses;
  let total = 1;
  for (const [level, logits] of outputs.entries()) {
    if (level === 0) continue;
    const coarse = everyNth(truth, network.outputStrides[level]);
    supervised = tf.add(supervised, tf.mul(caseLosses(logits, coarse), 2 ** -level));
    total += 2 ** -level;
  }
  return { losses, supervised: outputs.length === 1 ? losses : supervised.div<tf.Tensor1D>(total) };
}

function everyNth(labels: tf.Tensor4D, [z, y, x]: Size): tf.Tensor4D {
  return tf.stridedSlice(labels, [0, 0, 0, 0], labels.shape, [1, z, y, x]) as tf.Tensor4D;
}
