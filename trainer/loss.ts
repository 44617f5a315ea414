// The loss of METHOD.md section 7, computed for each case alone: Dice over a whole batch would
// defeat factors per case. A factor multiplies its own case's loss and nothing else.

import * as tf from '@tensorflow/tfjs';
import { alongRows, rowsOf, spaceMean, type Volumes } from './tensorflow/space.ts';

const smooth = 1e-5;

/**
 * Per case: cross entropy (mean over voxels) + 1 - mean soft Dice over foreground classes.
 * logits [B,D,H,W,K], labels int32 [B,D,H,W] -> [B]. Voxels labelled `ignore` count for nothing; a
 * case that has no others has loss 0. Gradients flow to the logits only.
 */
export function caseLosses(
  logits: tf.Tensor5D,
  labels: tf.Tensor4D,
  ignore: number | null = null,
): tf.Tensor1D {
  const { shape } = logits;
  const voxels = labels.size;
  const operation = tf.customGrad((given, save) => {
    const flat = (given as tf.Tensor).reshape<tf.Tensor2D>([voxels, shape[4]]);
    const values = labels.reshape<tf.Tensor1D>([voxels]);
    const truth = tf.oneHot(values, shape[4]).toFloat() as tf.Tensor2D;
    const counted = ignore === null ? null : countedVoxels(labels, ignore);
    const p = tf.softmax(flat);
    const { losses, gradient } = lossesAndGradient(p, truth, { shape, counted });
    (save as tf.GradSaveFunc)([gradient]);
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(saved, dy.reshape([shape[0], 1, 1])).reshape(shape);
    return { value: losses, gradFunc };
  });
  return operation(logits) as tf.Tensor1D;
}

/** Which voxels count: 1 or 0 for each [voxels, 1]; their share of a case [B,1,1], above 0. */
export type Counted = { mask: tf.Tensor2D; share: tf.Tensor3D };

/** The voxels that are not labelled `ignore`. */
export function countedVoxels(labels: tf.Tensor4D, ignore: number): Counted {
  const [batch, depth, height, width] = labels.shape;
  const mask = tf.notEqual(labels, tf.scalar(ignore, 'int32')).toFloat();
  const flat = mask.reshape<tf.Tensor2D>([labels.size, 1]);
  const share = spaceMean(flat, [batch, depth, height, width, 1]);
  return { mask: flat, share: tf.maximum(share, 1e-12) };
}

type Counting = { shape: Volumes; counted: Counted | null };

// Losses [B] and their gradient by the logits (as rows); p and truth are [B*D*H*W, K]. A voxel that
// does not count has no class at all in `truth`: one-hot knows no value beyond the classes.
function lossesAndGradient(
  probabilities: tf.Tensor2D,
  truth: tf.Tensor2D,
  { shape, counted }: Counting,
): { losses: tf.Tensor1D; gradient: tf.Tensor3D } {
  const [batch, depth, height, width, classes] = shape;
  const space = depth * height * width;
  const p = counted === null ? probabilities : tf.mul<tf.Tensor2D>(probabilities, counted.mask);
  const both = tf.mul(p, truth);
  const overlap = tf.mul(spaceMean(both, shape), space);
  const size = tf.mul(tf.add(spaceMean(p, shape), spaceMean(truth, shape)), space).add(smooth);
  const dice = tf.div(overlap.mul(2).add(smooth), size);
  const share = tf.tensor1d(Array.from({ length: classes }, (_, k) => (k ? 1 / (classes - 1) : 0)));
  const ones = tf.fill<tf.Rank.R2>([classes, classes], 1);
  const chosen = tf.matMul(both, tf.fill<tf.Rank.R2>([classes, 1], 1));
  const logs = logsOf(chosen, counted);
  const means = spaceMean(logs, [batch, depth, height, width, 1]);
  const entropy = tf.neg(counted === null ? means : tf.div(means, counted.share)).reshape([batch]);
  const losses = tf.add(entropy, tf.sub(1, tf.sum(tf.mul(dice, share), [1, 2])));
  // d(1 - Dice)/dp per class is truth rise + level; through softmax it becomes p (g - sum of g p).
  const rise = alongRows(tf.div(tf.mul(share, -2), size), shape);
  const level = alongRows(tf.div(tf.mul(share, dice), size), shape);
  const [pRows, truthRows] = [rowsOf(p, shape), rowsOf(truth, shape)];
  const byP = tf.mul(tf.add(tf.mul(truthRows, rise), level), pRows);
  const total = rowsOf(tf.matMul(byP.reshape<tf.Tensor2D>(p.shape), ones), shape);
  const diceGradient = tf.sub(byP, tf.mul(pRows, total));
  const each = tf.mul(tf.sub(pRows, truthRows), 1 / space);
  const entropyGradient = counted === null ? each : tf.div(each, counted.share);
  return {
    losses: losses as tf.Tensor1D,
    gradient: tf.add(diceGradient, entropyGradient) as tf.Tensor3D,
  };
}

function logsOf(chosen: tf.Tensor, counted: Counted | null): tf.Tensor {
  const logs = tf.log(tf.clipByValue(chosen, 1e-30, 1));
  return counted === null ? logs : tf.mul(logs, counted.mask);
}

/**
 * (1/B) sum of factor times loss, B being `count`: never divided by the factors' sum or maximum
 * (METHOD.md section 5). Parts of a batch, each with the whole batch's count, add up to its loss.
 */
export function batchLoss(
  losses: tf.Tensor1D,
  lossFactors: ArrayLike<number>,
  count = losses.shape[0],
): tf.Scalar {
  const factors = tf.tensor1d(Float32Array.from(lossFactors));
  return tf.sum(tf.mul(losses, factors)).div<tf.Scalar>(count);
}
