// Instance norm with the leaky activation behind it, as one operation with its own gradient: half
// the passes over the data that tfjs's own chain of operations would make.

import * as tf from '@tensorflow/tfjs';
import { isNative, nativeNormActivation } from './native-norm.ts';
import { alongRows, rowsOf, spaceMean, type Volumes } from './space.ts';

const epsilon = 1e-5;
const slope = 0.01;

/**
 * leaky(scale (x - mean) / deviation + shift), each case and channel for itself.
 * x [B,D,H,W,C], scale and shift [C]; leaky(z) = 0.99 relu(z) + 0.01 z.
 */
export function instanceNormActivation(
  x: tf.Tensor5D,
  scale: tf.Tensor1D,
  shift: tf.Tensor1D,
): tf.Tensor5D {
  const { shape } = x;
  if (shape[0] === 1 && isNative()) return nativeNormActivation(x, scale, shift);
  const operation = tf.customGrad((x5, scale1, shift1, save) => {
    const rows = rowsOf(x5 as tf.Tensor, shape);
    const mean = spaceMean(rows, shape);
    const centred = tf.sub(rows, alongRows(mean, shape));
    const variance = spaceMean(tf.mul(centred, centred), shape);
    const inverse = tf.rsqrt(variance.add(epsilon));
    const factor = tf.mul(inverse, scale1 as tf.Tensor);
    const stretched = tf.mul(centred, alongRows(factor, shape));
    const z = tf.add(stretched, alongRows(shift1 as tf.Tensor, shape));
    const value = tf.add(tf.mul(tf.relu(z), 1 - slope), tf.mul(z, slope));
    (save as tf.GradSaveFunc)([centred, z, inverse, factor]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => gradients(dy, saved, shape);
    return { value: value.reshape<tf.Tensor5D>(shape), gradFunc };
  });
  return operation(x, scale, shift) as tf.Tensor5D;
}

// dx = factor (dz - mean(dz) - centred inverse^2 mean(dz centred)).
function gradients(dy: tf.Tensor, saved: tf.Tensor[], shape: Volumes): tf.Tensor[] {
  const [centred, z, inverse, factor] = saved;
  const voxels = shape[1] * shape[2] * shape[3];
  const dz = tf.mul(rowsOf(dy, shape), tf.step(z, slope));
  const mean = spaceMean(dz, shape);
  const dot = spaceMean(tf.mul(dz, centred), shape);
  const bend = tf.mul(tf.mul(tf.square(inverse), dot), tf.neg(factor));
  const level = tf.mul(mean, tf.neg(factor));
  const stretched = tf.mul(dz, alongRows(factor, shape));
  const bent = tf.mul(centred, alongRows(bend, shape));
  const dx = tf.add(tf.add(stretched, bent), alongRows(level, shape));
  const scaleGradient = tf.mul(tf.sum(tf.mul(dot, inverse), [0, 1]), voxels);
  return [dx.reshape(shape), scaleGradient, tf.mul(tf.sum(mean, [0, 1]), voxels)];
}
