// The kernels that replace wasm's own: see README.md for what is wrong with each of those.

import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { convolution, filterGradient, inputGradient } from './convolution.ts';
import { planeSizes, volumeSizes } from './planes.ts';
import { sliceInHeap } from './slice.ts';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Parameters<typeof volumeSizes>[2] & {
  inputShape: number[];
  filterShape: number[];
};
type Compute = (inputs: Inputs, attributes: Attributes) => tf.Tensor;

const asTensor = (info: tf.TensorInfo): tf.Tensor =>
  info instanceof tf.Tensor ? info : tf.engine().makeTensorFromTensorInfo(info);

const convolutions: Record<string, Compute> = {
  Conv3D: ({ x, filter }, attributes) =>
    convolution(asTensor(x), asTensor(filter), volumeSizes(x.shape, filter.shape, attributes)),
  Conv3DBackpropInputV2: ({ dy, filter }, attributes) => {
    const sizes = volumeSizes(attributes.inputShape, filter.shape, attributes);
    return inputGradient(asTensor(dy), asTensor(filter), sizes);
  },
  Conv3DBackpropFilterV2: ({ x, dy }, attributes) => {
    const sizes = volumeSizes(x.shape, attributes.filterShape, attributes);
    return filterGradient(asTensor(x), asTensor(dy), sizes);
  },
  Conv2DBackpropInput: ({ dy, filter }, attributes) => {
    const sizes = planeSizes(attributes.inputShape, filter.shape, attributes);
    return inputGradient(asTensor(dy), asTensor(filter), sizes).reshape(attributes.inputShape);
  },
  Conv2DBackpropFilter: ({ x, dy }, attributes) => {
    const sizes = planeSizes(x.shape, attributes.filterShape, attributes);
    return filterGradient(asTensor(x), asTensor(dy), sizes).reshape(attributes.filterShape);
  },
};

const kernels: Record<string, tf.KernelFunc> = Object.fromEntries(
  Object.entries(convolutions).map(([name, compute]): [string, tf.KernelFunc] => [
    name,
    ({ inputs, attrs }) =>
      tf.tidy(() => compute(inputs as unknown as Inputs, attrs as unknown as Attributes)),
  ]),
);

const ours = new WeakSet<tf.KernelFunc>();

/** Names of the kernels that `replaceWasmKernels` replaces. */
export const replacedKernels = [...Object.keys(kernels), 'Slice'];

/** Puts our kernels in place of wasm's; does nothing the second time. */
export function replaceWasmKernels(): void {
  for (const [name, kernelFunc] of Object.entries(kernels)) replace(name, kernelFunc);
  const stockSlice = tf.getKernel('Slice', 'wasm').kernelFunc;
  if (ours.has(stockSlice)) return;
  replace('Slice', (given) => {
    const { x } = given.inputs as unknown as Inputs;
    if (x.dtype === 'string') return stockSlice(given);
    const attributes = given.attrs as unknown as Parameters<typeof sliceInHeap>[2];
    return sliceInHeap(given.backend as BackendWasm, x, attributes);
  });
}

function replace(kernelName: string, kernelFunc: tf.KernelFunc): void {
  const known = tf.getKernel(kernelName, 'wasm')?.kernelFunc;
  if (known !== undefined) {
    if (ours.has(known)) return;
    tf.unregisterKernel(kernelName, 'wasm');
  }
  ours.add(kernelFunc);
  tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc });
}
