// Values and gradients of the network's operations against float64, checked at every start: tfjs's
// own wasm kernels are wrong without any error. An operation that is off refuses to train.

import * as tf from '@tensorflow/tfjs';
import { type Operation, testedOperations } from './operations.ts';

/** Largest error allowed, relative to the largest number of the array it stands in. */
const tolerance = 1e-5;
const step = 1e-6;

/** Fixed numbers between -1 and 1 that float32 holds exactly. */
export function numbers(shape: number[], seed: number): Float32Array {
  const count = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, k) =>
    Math.sin(12.9898 * (k + 1) + 78.233 * seed),
  );
}

/** The largest difference between two arrays, relative to the largest number of the second. */
export function relativeError(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Infinity;
  let worst = 0;
  let scale = 1e-12;
  for (let k = 0; k < wanted.length; k++) {
    const difference = Math.abs(found[k] - wanted[k]);
    worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
    scale = Math.max(scale, Math.abs(wanted[k]));
  }
  return worst / scale;
}

/** The worst error of an operation's value and of its gradients, on the current backend. */
export function operationError({ shapes, apply, reference }: Operation): number {
  const inputs = shapes.map((shape, k) => numbers(shape, k + 1));
  const wide = inputs.map((values) => Float64Array.from(values));
  const wanted = reference(...wide);
  const projection = numbers([wanted.length], 99);
  const { value, gradients } = tf.tidy(() => {
    const tensors = inputs.map((values, k) => tf.tensor(values, shapes[k]));
    const out = apply(...tensors);
    const dy = tf.tensor(projection, out.shape);
    const found = tf.grads((...xs: tf.Tensor[]) => apply(...xs))(tensors, dy);
    return { value: out.dataSync(), gradients: found.map((one) => one.dataSync()) };
  });
  const errors = gradients.map((gradient, k) =>
    relativeError(gradient, numericGradient(reference, wide, { input: k, projection })),
  );
  return Math.max(relativeError(value, wanted), ...errors);
}

// Central differences in float64, where their own error is far below the tolerance.
function numericGradient(
  reference: Operation['reference'],
  inputs: Float64Array[],
  { input, projection }: { input: number; projection: Float32Array },
): Float64Array {
  const moved = (place: number, by: number) => {
    const copies = inputs.map((values) => values.slice());
    copies[input][place] += by;
    return reference(...copies);
  };
  return inputs[input].map((_, place) => {
    const [above, below] = [moved(place, step), moved(place, -step)];
    let slope = 0;
    for (let k = 0; k < projection.length; k++) slope += projection[k] * (above[k] - below[k]);
    return slope / (2 * step);
  });
}

/** Checks every operation on the current backend; throws naming the first that is wrong. */
export function runSelfTest(operations = testedOperations): { operations: number; worst: number } {
  let worst = 0;
  for (const operation of operations) {
    const error = operationError(operation);
    if (!(error <= tolerance)) {
      throw new Error(
        `${operation.name} or its gradient is wrong on backend ${tf.getBackend()} (relative error ${error.toExponential(1)}); training is refused. Try --backend cpu, and report the versions.`,
      );
    }
    worst = Math.max(worst, error);
  }
  return { operations: operations.length, worst };
}
