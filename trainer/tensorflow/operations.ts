// What the self-test checks: every operation of a training step that has a gradient, on tiny
// shapes, each with its plain float64 version. A new operation of the network gets an entry here.

import * as tf from '@tensorflow/tfjs';
import { caseLosses } from '../loss.ts';
import { instanceNormActivation } from './norm.ts';
import { convolve, convolveBack, losses, normalise } from './reference.ts';
import { addBias } from './space.ts';

export type Operation = {
  name: string;
  /** Shapes of the inputs; the gradient by each of them is checked. */
  shapes: number[][];
  apply: (...inputs: tf.Tensor[]) => tf.Tensor;
  reference: (...inputs: Float64Array[]) => Float64Array;
};

type Convolution = {
  input: number[];
  filter: number[];
  strides: [number, number, number];
  pad?: 'same' | 'valid';
};

function forward({ input, filter, strides, pad = 'same' }: Convolution): Operation {
  const size = filter.slice(0, 3).join('x');
  return {
    name: `conv3d ${size} with strides ${strides.join(',')}, ${pad}, on ${input.join('x')}`,
    shapes: [input, filter],
    apply: (x, f) => tf.conv3d(x as tf.Tensor5D, f as tf.Tensor5D, strides, pad),
    reference: (x, f) => convolve(x, f, { input, filter, strides, pad }),
  };
}

function transposed({ input, filter, strides, pad = 'same' }: Convolution): Operation {
  const [batch, ...rest] = input;
  const small = rest.slice(0, 3).map((length, axis) => length / strides[axis]);
  return {
    name: `conv3dTranspose ${filter.slice(0, 3).join('x')} with strides ${strides.join(',')}`,
    shapes: [[batch, ...small, filter[4]], filter],
    apply: (x, f) =>
      tf.conv3dTranspose(
        x as tf.Tensor5D,
        f as tf.Tensor5D,
        input as tf.Tensor5D['shape'],
        strides,
        pad as 'same',
      ),
    reference: (x, f) => convolveBack(x, f, { input, filter, strides, pad }),
  };
}

// One case has a path of its own on the native backend.
function norm({ cases, name }: { cases: number; name: string }): Operation {
  return {
    name,
    shapes: [[cases, 2, 3, 2, 3], [3], [3]],
    apply: (x, scale, shift) =>
      instanceNormActivation(x as tf.Tensor5D, scale as tf.Tensor1D, shift as tf.Tensor1D),
    reference: (...inputs) => normalise(inputs, [cases, 12, 3]),
  };
}

const labels = [0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2, 1, 1, 0, 2];

export const testedOperations: Operation[] = [
  forward({ input: [2, 3, 3, 4, 2], filter: [3, 3, 3, 2, 2], strides: [1, 1, 1] }),
  forward({ input: [2, 1, 4, 3, 2], filter: [1, 3, 3, 2, 2], strides: [1, 1, 1] }),
  forward({ input: [1, 2, 3, 2, 3], filter: [1, 1, 1, 3, 2], strides: [1, 1, 1] }),
  forward({ input: [2, 4, 2, 4, 2], filter: [2, 2, 2, 2, 3], strides: [2, 2, 2] }),
  forward({ input: [1, 1, 4, 4, 2], filter: [1, 2, 2, 2, 2], strides: [1, 2, 2] }),
  forward({ input: [1, 5, 4, 3, 2], filter: [3, 3, 3, 2, 1], strides: [2, 2, 2] }),
  forward({ input: [1, 4, 3, 4, 1], filter: [2, 2, 3, 1, 2], strides: [1, 1, 1], pad: 'valid' }),
  transposed({ input: [2, 4, 2, 4, 2], filter: [2, 2, 2, 2, 3], strides: [2, 2, 2] }),
  transposed({ input: [2, 1, 4, 4, 2], filter: [1, 2, 2, 2, 3], strides: [1, 2, 2] }),
  norm({ cases: 2, name: 'instance norm and leaky activation' }),
  norm({ cases: 1, name: 'instance norm and leaky activation of one case' }),
  {
    name: 'bias',
    shapes: [[2, 2, 1, 3, 2], [2]],
    apply: (x, bias) => addBias(x as tf.Tensor5D, bias as tf.Tensor1D),
    reference: (x, bias) => x.map((value, k) => value + bias[k % 2]),
  },
  {
    name: 'cross entropy and Dice',
    shapes: [[2, 2, 2, 2, 3]],
    apply: (logits) =>
      caseLosses(logits as tf.Tensor5D, tf.tensor4d(labels, [2, 2, 2, 2], 'int32')),
    reference: (logits) => losses(logits, labels, [2, 8, 3]),
  },
];
