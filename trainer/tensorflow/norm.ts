// Instance norm with the leaky activation behind it, as one operation with its own gradient: sums
// over space are matMuls with ones, which wasm does an order faster than a reduction.

import * as tf from '@tensorflow/tfjs';

const epsilon = 1e-5;
const slope = 0.01;

// Sum over space of [B, S, C] -> [B, 1, C]. matMul is fast on wasm only for a batch of one.
function spaceSum(x: tf.Tensor3D, ones: tf.Tensor2D): tf.Tensor3D {
  const [batch, space, channels] = x.shape;
  const flat = x.reshape<tf.Tensor2D>([batch, space * channels]);
  const sums: tf.Tensor2D[] = Array.from({ length: batch }, (_, b) =>
    tf.matMul(
      ones,
      tf.slice2d(flat, [b, 0], [1, space * channels]).reshape<tf.Tensor2D>([space, channels]),
    ),
  );
  return tf.concat2d(sums, 0).reshape([batch, 1, channels]);
}

/**
 * leaky(scale (x - mean) / deviation + shift), each case and channel for itself.
 * x [B,D,H,W,C], scale and shift [C]; leaky(z) = z for z > 0, 0.01 z elsewhere.
 */
export function instanceNormActivation(
  x: tf.Tensor5D,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
): tf.Tensor5D {
  const channels = x.shape[4];
  const space = x.shape[1] * x.shape[2] * x.shape[3];
  const operation = tf.customGrad((x5, scale1, shift1, save) => {
    const flat = (x5 as tf.Tensor).reshape<tf.Tensor3D>([x.shape[0], space, channels]);
    const ones = tf.fill<tf.Rank.R2>([1, space], 1);
    const mean = spaceSum(flat, ones).div<tf.Tensor3D>(space);
    const centred = tf.sub<tf.Tensor3D>(flat, mean);
    const variance = spaceSum(tf.mul(centred, centred), ones).div<tf.Tensor3D>(space);
    const inverse = tf.rsqrt(variance.add(epsilon));
    const factor = tf.mul<tf.Tensor3D>(inverse, scale1 as tf.Tensor);
    const z = tf.add<tf.Tensor3D>(tf.mul(centred, factor), shift1 as tf.Tensor);
    const value = tf
      .add(tf.mul(tf.relu(z), 1 - slope), tf.mul(z, slope))
      .reshape<tf.Tensor5D>(x.shape);
    (save as tf.GradSaveFunc)([centred, z, inverse, factor]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => gradients(dy, saved, space);
    return { value, gradFunc };
  });
  return operation(x, scale, shift) as tf.Tensor5D;
}

// dx = factor (dz - mean(dz) - centred inverse^2 mean(dz centred)).
function gradients(dy: tf.Tensor, saved: tf.Tensor[], space: number): tf.Tensor[] {
  const [centred, z, inverse, factor] = saved as tf.Tensor3D[];
  const ones = tf.fill<tf.Rank.R2>([1, space], 1);
  const dz = tf.mul<tf.Tensor3D>(dy.reshape(z.shape), tf.step(z, slope));
  const sum = spaceSum(dz, ones);
  const dot = spaceSum(tf.mul(dz, centred), ones);
  const bend = tf.mul(tf.mul(tf.square(inverse), dot), tf.div(factor, -space));
  const level = tf.mul(sum, tf.div(factor, -space));
  const dx = tf.add(tf.add(tf.mul(dz, factor), tf.mul(centred, bend)), level);
  const scaleGradient = tf.sum(tf.mul(dot, inverse), [0, 1]);
  return [dx.reshape(dy.shape), scaleGradient, tf.sum(sum, [0, 1])];
}
