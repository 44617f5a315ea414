// The self-test, and the wrong kernels it must catch: those of wasm itself, and ones slightly off.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { beforeAll, expect, test } from 'vitest';
import { registerMissingGradients } from '../../../trainer/tensorflow/gradients.ts';
import { replacedKernels, replaceWasmKernels } from '../../../trainer/tensorflow/kernels.ts';
import { type Operation, testedOperations } from '../../../trainer/tensorflow/operations.ts';
import {
  operationError,
  relativeError,
  runSelfTest,
} from '../../../trainer/tensorflow/self-test.ts';

const stock = new Map<string, tf.KernelFunc>();

beforeAll(async () => {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  setWasmPaths(`${folder}/dist/`);
  await tf.setBackend('wasm');
  for (const name of replacedKernels) {
    const kernel = tf.getKernel(name, 'wasm');
    if (kernel !== undefined) stock.set(name, kernel.kernelFunc);
  }
  registerMissingGradients();
  replaceWasmKernels();
});

/** Runs `check` with other kernels in place of ours. */
function withKernels(kernels: [string, tf.KernelFunc][], check: () => void): void {
  const swap = (name: string, kernelFunc: tf.KernelFunc) => {
    tf.unregisterKernel(name, 'wasm');
    tf.registerKernel({ kernelName: name, backendName: 'wasm', kernelFunc });
  };
  const ours = kernels.map(([name]) => [name, tf.getKernel(name, 'wasm').kernelFunc] as const);
  for (const [name, kernelFunc] of kernels) swap(name, kernelFunc);
  try {
    check();
  } finally {
    for (const [name, kernelFunc] of ours) swap(name, kernelFunc);
  }
}

const stockOnes = (...names: string[]) =>
  names.map((name): [string, tf.KernelFunc] => [name, stock.get(name)!]);

test('passes the replaced kernels of wasm, far inside its tolerance', () => {
  const { operations, worst } = runSelfTest();
  expect(operations).toBe(testedOperations.length);
  expect(worst).toBeLessThan(5e-6);
});

test('passes the cpu backend', async () => {
  await tf.setBackend('cpu');
  const { worst } = runSelfTest();
  await tf.setBackend('wasm');
  expect(worst).toBeLessThan(5e-6);
});

test("refuses wasm's own gradient by the input, which is wrong without an error", () => {
  withKernels(stockOnes('Conv3DBackpropInputV2'), () => {
    expect(() => runSelfTest()).toThrow(/^conv3d .* is wrong on backend wasm .* refused/);
  });
});

test("refuses wasm's own gradient by the filter, which is wrong where strides are 2", () => {
  withKernels(stockOnes('Conv3DBackpropFilterV2'), () => {
    expect(() => runSelfTest()).toThrow(/^conv3d 2x2x2 with strides 2,2,2/);
  });
});

test('finds nothing wrong with the stock forward convolution, which is only slow', () => {
  withKernels(stockOnes('Conv3D'), () => expect(() => runSelfTest()).not.toThrow());
});

test.each(['Conv3D', 'Conv3DBackpropInputV2', 'Conv3DBackpropFilterV2'])(
  'catches %s when it is off by a part in ten thousand',
  (name) => {
    const ours = tf.getKernel(name, 'wasm').kernelFunc;
    const off: tf.KernelFunc = (given) =>
      tf.tidy(() => tf.mul(ours(given) as unknown as tf.Tensor, 1.0001));
    withKernels([[name, off]], () => expect(() => runSelfTest()).toThrow('is wrong on backend'));
  },
);

test.each(
  testedOperations.flatMap((operation) =>
    operation.shapes.map((_, input): [string, number, Operation] => [
      operation.name,
      input,
      operation,
    ]),
  ),
)('catches %s when its gradient by input %i is a part in ten thousand off', (name, input, good) => {
  const apply = (...inputs: tf.Tensor[]) => good.apply(...inputs.map((x, k) => bent(x, k)));
  const bent = (x: tf.Tensor, k: number) => (k === input ? gradientTimes(x, 1.0001) : x);
  expect(() => runSelfTest([{ ...good, apply }])).toThrow(`${name} or its gradient is wrong`);
});

test('catches an operation that answers NaN, or too few numbers', () => {
  const [good] = testedOperations;
  const apply = (...inputs: tf.Tensor[]) => tf.mul(good.apply(...inputs), Number.NaN);
  expect(operationError({ ...good, apply })).toBe(Infinity);
  expect(relativeError([1, 2], [1, 2, 3])).toBe(Infinity);
});

test('leaves no tensor behind', () => {
  const before = tf.memory().numTensors;
  runSelfTest();
  expect(tf.memory().numTensors).toBe(before);
});

/** The same numbers, with a gradient that is `by` times what it should be. */
function gradientTimes(x: tf.Tensor, by: number): tf.Tensor {
  return tf.customGrad((given) => ({
    value: (given as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => tf.mul(dy, by),
  }))(x);
}
