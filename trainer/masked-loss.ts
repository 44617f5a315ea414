// The loss of METHOD.md section 7 where a label image has ignored voxels: those whose value is past
// the last class. They count in no sum, so the loss is that of the other voxels alone.

import * as tf from '@tensorflow/tfjs';

const smooth = 1e-5;

/** Whether any of the labels is an ignored voxel: a value of `classCount` or more. */
export function hasIgnored(labels: ArrayLike<number>, classCount: number): boolean {
  for (let k = 0; k < labels.length; k += 1) if (labels[k] >= classCount) return true;
  return false;
}

/**
 * As `caseLosses`, over the voxels that are not ignored; a case that is ignored everywhere loses 0.
 * logits [B,D,H,W,K], labels int32 [B,D,H,W] -> [B]. Gradients of ignored voxels are 0.
 */
export function maskedCaseLosses(logits: tf.Tensor5D, labels: tf.Tensor4D): tf.Tensor1D {
  const [batch, , , , classes] = logits.shape;
  const voxels = labels.size / batch;
  const known = tf.less(labels, classes).toFloat().reshape([batch, voxels, 1]);
  const values = tf.minimum(labels, classes - 1).toInt();
  const hot = tf.oneHot(values.reshape<tf.Tensor1D>([labels.size]), classes).toFloat();
  const truth = tf.mul(hot.reshape([batch, voxels, classes]), known);
  const logs = tf.logSoftmax(logits.reshape([batch, voxels, classes]));
  const p = tf.mul(tf.exp(logs), known);
  const count = tf.maximum(tf.sum(known, [1, 2]), 1);
  const entropy = tf.neg(tf.div(tf.sum(tf.mul(logs, truth), [1, 2]), count));
  const overlap = tf.sum(tf.mul(p, truth), 1);
  const size = tf.add(tf.sum(p, 1), tf.sum(truth, 1));
  const dice = tf.div(overlap.mul(2).add(smooth), size.add(smooth));
  const foreground = tf.slice(dice, [0, 1], [batch, classes - 1]);
  return tf.add(entropy, tf.sub(1, tf.mean(foreground, 1)));
}
