// The loss of METHOD.md section 7 where regions may lie within each other: each is a question of
// its own, so the softmax becomes a sigmoid and the cross entropy a binary one.

import * as tf from '@tensorflow/tfjs';
import type { LabelTask } from './labels.ts';
import { caseLosses, countedVoxels } from './loss.ts';
import { alongRows, rowsOf, spaceMean, type Volumes } from './tensorflow/space.ts';

const smooth = 1e-5;

/** Each case's loss for a task; without one, plain classes of which every voxel is labelled. */
export function taskLosses(
  logits: tf.Tensor5D,
  labels: tf.Tensor4D,
  task: LabelTask | undefined,
): tf.Tensor1D {
  if (task === undefined || task.regions === null) {
    return caseLosses(logits, labels, task?.ignore ?? null);
  }
  return regionLosses(logits, labels, { regions: task.regions, ignore: task.ignore });
}

/**
 * Per case: binary cross entropy (mean over voxels and regions) + 1 - mean soft Dice over regions.
 * logits [B,D,H,W,R], labels int32 [B,D,H,W] -> [B]. Voxels labelled `ignore` count for nothing.
 * Gradients flow to the logits only.
 */
export function regionLosses(
  logits: tf.Tensor5D,
  labels: tf.Tensor4D,
  { regions, ignore }: { regions: number[][]; ignore: number | null },
): tf.Tensor1D {
  const { shape } = logits;
  const operation = tf.customGrad((given, save) => {
    const z = (given as tf.Tensor).reshape<tf.Tensor2D>([labels.size, regions.length]);
    const truth = membership(labels, regions);
    // Nothing is ignored by a value that no label has.
    const counted = countedVoxels(labels, ignore ?? -1);
    const { losses, gradient } = lossesAndGradient(z, truth, { shape, ...counted });
    (save as tf.GradSaveFunc)([gradient]);
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(saved, dy.reshape([shape[0], 1, 1])).reshape(shape);
    return { value: losses, gradFunc };
  });
  return operation(logits) as tf.Tensor1D;
}

// 1 where a voxel lies in a region: [voxels, R].
function membership(labels: tf.Tensor4D, regions: number[][]): tf.Tensor2D {
  const values = labels.reshape<tf.Tensor2D>([labels.size, 1]);
  const columns = regions.map((region) => {
    const within = region.map((value) => tf.equal(values, tf.scalar(value, 'int32')).toFloat());
    return within.reduce((sum, one) => tf.add(sum, one));
  });
  return columns.length === 1
    ? (columns[0] as tf.Tensor2D)
    : tf.concat2d(columns as tf.Tensor2D[], 1);
}

function lossesAndGradient(
  z: tf.Tensor2D,
  truth: tf.Tensor2D,
  { shape, mask, share }: { shape: Volumes; mask: tf.Tensor2D; share: tf.Tensor3D },
): { losses: tf.Tensor1D; gradient: tf.Tensor3D } {
  const [batch, depth, height, width, regions] = shape;
  const space = depth * height * width;
  const p = tf.mul(tf.sigmoid(z), mask);
  const inside = tf.mul(truth, mask);
  const overlap = tf.mul(spaceMean(tf.mul(p, inside), shape), space);
  const size = tf.mul(tf.add(spaceMean(p, shape), spaceMean(inside, shape)), space).add(smooth);
  const dice = tf.div(overlap.mul(2).add(smooth), size);
  // log(1 + e^z) - truth z, without overflow.
  const tail = tf.log(tf.add(tf.exp(tf.neg(tf.abs(z))), 1));
  const each = tf.mul(tf.sub(tf.add(tf.relu(z), tail), tf.mul(truth, z)), mask);
  const means = tf.div(spaceMean(each, shape), share);
  const entropy = tf.mul(tf.sum(means, [1, 2]), 1 / regions).reshape([batch]);
  const losses = tf.add(entropy, tf.sub(1, tf.mul(tf.sum(dice, [1, 2]), 1 / regions)));
  const rise = alongRows(tf.div(-2 / regions, size), shape);
  const level = alongRows(tf.div(tf.mul(dice, 1 / regions), size), shape);
  const [pRows, insideRows] = [rowsOf(p, shape), rowsOf(inside, shape)];
  const slope = tf.mul(pRows, tf.sub(1, pRows));
  const diceGradient = tf.mul(tf.add(tf.mul(insideRows, rise), level), slope);
  const entropyGradient = tf.div(tf.mul(tf.sub(pRows, insideRows), 1 / (space * regions)), share);
  return {
    losses: losses as tf.Tensor1D,
    gradient: tf.add(diceGradient, entropyGradient) as tf.Tensor3D,
  };
}
