// The loss of METHOD.md section 7, computed for each case alone: Dice over a whole batch would defeat
// factors per case. A factor multiplies its own case's loss and nothing else.

import * as tf from '@tensorflow/tfjs';

const smooth = 1e-5;

/**
 * Per case: cross entropy (mean over voxels) + 1 - mean soft Dice over foreground classes.
 * logits [B,D,H,W,K], labels int32 [B,D,H,W] -> [B]. Gradients flow to the logits only.
 */
export function caseLosses(logits: tf.Tensor5D, labels: tf.Tensor4D): tf.Tensor1D {
  const [batch, depth, height, width, classes] = logits.shape;
  const space = depth * height * width;
  const truth = tf
    .oneHot(labels.reshape<tf.Tensor1D>([batch * space]), classes)
    .toFloat()
    .reshape<tf.Tensor2D>([batch, space * classes]);
  const operation = tf.customGrad((given, save) => {
    const flat = (given as tf.Tensor).reshape<tf.Tensor2D>([batch, space * classes]);
    const cases = Array.from({ length: batch }, (_, b) => {
      const row = (x: tf.Tensor2D) =>
        tf.slice2d(x, [b, 0], [1, space * classes]).reshape<tf.Tensor2D>([space, classes]);
      return oneCase(row(flat), row(truth));
    });
    const value = tf.stack(cases.map(({ loss }) => loss)) as tf.Tensor1D;
    const gradient = tf.concat2d(
      cases.map((one) => one.gradient.reshape<tf.Tensor2D>([1, space * classes])),
      0,
    );
    (save as tf.GradSaveFunc)([gradient]);
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(saved, dy.reshape([batch, 1])).reshape(logits.shape);
    return { value, gradFunc };
  });
  return operation(logits) as tf.Tensor1D;
}

// Loss and its gradient by the logits of one case: logits and truth are [S, K].
function oneCase(
  logits: tf.Tensor2D,
  truth: tf.Tensor2D,
): { loss: tf.Scalar; gradient: tf.Tensor2D } {
  const [space, classes] = logits.shape;
  const ones = tf.fill<tf.Rank.R2>([1, space], 1);
  const p = tf.softmax(logits);
  const both = tf.mul(p, truth);
  const overlap = tf.matMul(ones, both);
  const size = tf.add(tf.matMul(ones, p), tf.matMul(ones, truth)).add<tf.Tensor2D>(smooth);
  const foreground = tf.tensor2d([
    Array.from({ length: classes }, (_, k) => (k === 0 ? 0 : 1 / (classes - 1))),
  ]);
  const dice = tf.div<tf.Tensor2D>(overlap.mul(2).add(smooth), size);
  const chosen = tf.matMul(both, tf.fill<tf.Rank.R2>([classes, 1], 1));
  const entropy = tf.matMul(ones, tf.log(tf.clipByValue(chosen, 1e-30, 1))).div(-space);
  const loss = entropy
    .sub(tf.sum(tf.mul(dice, foreground)))
    .add(1)
    .reshape<tf.Scalar>([]);
  // d(1 - Dice)/dp per class is truth * rise + level; through softmax it becomes p (g - sum g p).
  const rise = tf.div<tf.Tensor2D>(foreground.mul(-2), size);
  const level = tf.div<tf.Tensor2D>(tf.mul(foreground, dice), size);
  const byP = tf.add(tf.mul(truth, rise), level);
  const weighted = tf.mul<tf.Tensor2D>(byP, p);
  const total = tf.matMul(weighted, tf.fill<tf.Rank.R2>([classes, 1], 1));
  const diceGradient = tf.sub(weighted, tf.mul(p, total));
  const entropyGradient = tf.sub(p, truth).div(space);
  return { loss, gradient: tf.add(diceGradient, entropyGradient) };
}

/** (1/B) sum of factor times loss: never divided by the factors' sum or maximum (METHOD.md section 5). */
export function batchLoss(losses: tf.Tensor1D, lossFactors: ArrayLike<number>): tf.Scalar {
  const factors = tf.tensor1d(Float32Array.from(lossFactors));
  return tf.sum(tf.mul(losses, factors)).div<tf.Scalar>(losses.shape[0]);
}
