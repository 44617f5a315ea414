// One training step: draw losses, gradients, clipping, Adam. A loss or gradient that is not finite
// never reaches the parameters; the step is skipped and says so.

import * as tf from '@tensorflow/tfjs';
import { batchLoss, caseLosses } from './loss.ts';
import type { Network } from './network.ts';
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
  return tf.tidy(() => {
    let kept: tf.Tensor1D | null = null;
    const variables = network.parameters.map(({ variable }) => variable);
    const { value, grads } = tf.variableGrads(() => {
      const losses = caseLosses(network.logits(images), labels);
      kept = tf.keep(losses.clone());
      return batchLoss(losses, lossFactors);
    }, variables);
    const losses = Float32Array.from((kept as unknown as tf.Tensor1D).dataSync());
    (kept as unknown as tf.Tensor1D).dispose();
    const gradients = variables.map((variable) =>
      Float32Array.from(grads[variable.name].dataSync()),
    );
    return { loss: value.dataSync()[0], losses, gradients };
  });
}
