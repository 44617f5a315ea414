// The gradients that training needs, checked at every start: tfjs's wasm kernels were wrong without
// any error. A wrong one refuses to train.

import * as tf from '@tensorflow/tfjs';
import { caseLosses } from '../loss.ts';
import { instanceNormActivation } from './norm.ts';

type Operation = {
  name: string;
  shapes: number[][];
  apply: (...inputs: tf.Tensor[]) => tf.Tensor;
};

const conv =
  (strides: [number, number, number], pad: 'same' | 'valid') => (x: tf.Tensor, filter: tf.Tensor) =>
    tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, strides, pad);

const labels = () =>
  tf.tensor4d([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2, 1, 1, 0, 2], [2, 2, 2, 2], 'int32');

/** Every operation whose gradients are checked, on tiny shapes. */
export const testedOperations: Operation[] = [
  {
    name: 'conv3d 3x3x3',
    shapes: [
      [2, 3, 4, 3, 2],
      [3, 3, 3, 2, 3],
    ],
    apply: conv([1, 1, 1], 'same'),
  },
  {
    name: 'conv3d 1x3x3',
    shapes: [
      [1, 1, 5, 4, 2],
      [1, 3, 3, 2, 2],
    ],
    apply: conv([1, 1, 1], 'same'),
  },
  {
    name: 'conv3d 1x1x1',
    shapes: [
      [1, 2, 3, 2, 3],
      [1, 1, 1, 3, 2],
    ],
    apply: conv([1, 1, 1], 'same'),
  },
  {
    name: 'conv3d 2x2x2 stride 2',
    shapes: [
      [2, 4, 2, 6, 2],
      [2, 2, 2, 2, 3],
    ],
    apply: conv([2, 2, 2], 'same'),
  },
  {
    name: 'conv3d 1x2x2 stride 1,2,2',
    shapes: [
      [1, 1, 4, 4, 2],
      [1, 2, 2, 2, 2],
    ],
    apply: conv([1, 2, 2], 'same'),
  },
  {
    name: 'conv3d 3x3x3 stride 2',
    shapes: [
      [1, 5, 4, 5, 2],
      [3, 3, 3, 2, 2],
    ],
    apply: conv([2, 2, 2], 'same'),
  },
  {
    name: 'conv3dTranspose 2x2x2 stride 2',
    shapes: [
      [2, 2, 1, 3, 3],
      [2, 2, 2, 2, 3],
    ],
    apply: (x, filter) =>
      tf.conv3dTranspose(
        x as tf.Tensor5D,
        filter as tf.Tensor5D,
        [2, 4, 2, 6, 2],
        [2, 2, 2],
        'same',
      ),
  },
  {
    name: 'instance norm and leaky activation',
    shapes: [[2, 2, 3, 2, 3], [3], [3]],
    // Shifts far from zero keep every voxel on one side of the activation's kink.
    apply: (x, scale, shift) =>
      instanceNormActivation(
        x as tf.Tensor5D,
        scale as tf.Tensor1D,
        tf.add(shift, tf.tensor1d([9, -9, 9])) as tf.Tensor1D,
      ),
  },
  {
    name: 'cross entropy and Dice',
    shapes: [[2, 2, 2, 2, 3]],
    apply: (logits) => caseLosses(logits as tf.Tensor5D, labels()),
  },
];

const tolerance = 3e-4;
const step = 2e-2;

// Repeating numbers between -1 and 1, far enough from each other that no kink is crossed.
function numbers(shape: number[], seed: number): Float32Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, k) =>
    Math.sin(12.9898 * (k + 1) + 78.233 * seed),
  );
}

function projected(
  operation: Operation,
  inputs: Float32Array[],
  weighting: Float32Array | null,
): number {
  return tf.tidy(() => {
    const out = operation.apply(
      ...inputs.map((values, k) => tf.tensor(values, operation.shapes[k])),
    );
    const values = out.dataSync();
    let sum = 0;
    for (let k = 0; k < values.length; k++) sum += values[k] * (weighting?.[k] ?? 1);
    return sum;
  });
}

function analyticGradients(
  operation: Operation,
  inputs: Float32Array[],
): { gradients: Float32Array[]; projection: Float32Array } {
  const tensors = inputs.map((values, k) => tf.tensor(values, operation.shapes[k]));
  const outShape = tf.tidy(() => operation.apply(...tensors).shape);
  const projection = numbers(outShape, 99);
  const gradients = tf.tidy(() => {
    const dy = tf.tensor(projection, outShape);
    const found = tf.grads((...xs: tf.Tensor[]) => operation.apply(...xs))(tensors, dy);
    return found.map((gradient) => Float32Array.from(gradient.dataSync()));
  });
  for (const tensor of tensors) tensor.dispose();
  return { gradients, projection };
}

/** The largest error of an operation's gradients, relative to the largest gradient of the input. */
export function gradientError(operation: Operation): number {
  const inputs = operation.shapes.map((shape, k) => numbers(shape, k + 1));
  const { gradients, projection } = analyticGradients(operation, inputs);
  let worst = 0;
  for (const [k, values] of inputs.entries()) {
    const scale = gradients[k].reduce((a, b) => Math.max(a, Math.abs(b)), 1e-3);
    for (
      let place = 0;
      place < values.length;
      place += Math.max(1, Math.floor(values.length / 12))
    ) {
      const numeric = slope(operation, inputs, { k, place, projection });
      const error = Math.abs(numeric - gradients[k][place]) / scale;
      worst = Math.max(worst, Number.isFinite(error) ? error : Infinity);
    }
  }
  return worst;
}

// Central differences, extrapolated once: the error of the formula falls with the fourth power of
// the step, so the step can stay large against float32.
function slope(
  operation: Operation,
  inputs: Float32Array[],
  at: { k: number; place: number; projection: Float32Array },
): number {
  const moved = (by: number) => {
    const copies = inputs.map((values) => values.slice());
    copies[at.k][at.place] += by;
    return projected(operation, copies, at.projection);
  };
  const difference = (h: number) => (moved(h) - moved(-h)) / (2 * h);
  return (4 * difference(step) - difference(2 * step)) / 3;
}

/** Checks every operation on the current backend; throws naming the first wrong one. */
export function runSelfTest(operations = testedOperations): { operations: number; worst: number } {
  let worst = 0;
  for (const operation of operations) {
    const error = gradientError(operation);
    if (!(error <= tolerance)) {
      throw new Error(
        `the gradient of ${operation.name} is wrong on backend ${tf.getBackend()} (relative error ${error.toExponential(1)}); training is refused. Try --backend cpu, and report the versions.`,
      );
    }
    worst = Math.max(worst, error);
  }
  return { operations: operations.length, worst };
}
