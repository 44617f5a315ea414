// The kernels that replace wasm's own: see README.md for what is wrong with each of those.

import * as tf from '@tensorflow/tfjs';
import { convolution, filterGradient, inputGradient } from './convolution.ts';
import { type ConvolutionAttributes, sizesOf } from './planes.ts';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Record<string, unknown>;

const asTensor = (info: tf.TensorInfo): tf.Tensor =>
  info instanceof tf.Tensor ? info : tf.engine().makeTensorFromTensorInfo(info);

function conv3dAttributes({ strides, pad }: Attributes): ConvolutionAttributes {
  return { strides, pad } as ConvolutionAttributes;
}

// A plane is a volume of depth 1; its stride along depth does not matter then.
function conv2dAttributes({ strides, pad }: Attributes): ConvolutionAttributes {
  const [height, width] = Array.isArray(strides) ? strides.slice(-2) : [strides, strides];
  return { strides: [1, height as number, width as number], pad: pad as 'same' };
}

const deep = ([batch, height, width, channels]: number[]) => [batch, 1, height, width, channels];
const deepFilter = (shape: number[]) => [1, ...shape];

const kernels: Record<string, (inputs: Inputs, attributes: Attributes) => tf.Tensor> = {
  Conv3D: ({ x, filter }, attributes) =>
    convolution(
      asTensor(x),
      asTensor(filter),
      sizesOf(x.shape, filter.shape, conv3dAttributes(attributes)),
    ),
  Conv3DBackpropInputV2: ({ dy, filter }, attributes) => {
    const shape = attributes.inputShape as number[];
    const sizes = sizesOf(shape, filter.shape, conv3dAttributes(attributes));
    return inputGradient(asTensor(dy), asTensor(filter), sizes);
  },
  Conv3DBackpropFilterV2: ({ x, dy }, attributes) => {
    const shape = attributes.filterShape as number[];
    const sizes = sizesOf(x.shape, shape, conv3dAttributes(attributes));
    return filterGradient(asTensor(x), asTensor(dy), sizes);
  },
  Conv2DBackpropInput: ({ dy, filter }, attributes) => {
    const shape = attributes.inputShape as number[];
    const sizes = sizesOf(deep(shape), deepFilter(filter.shape), conv2dAttributes(attributes));
    return inputGradient(asTensor(dy), asTensor(filter), sizes).reshape(shape);
  },
  Conv2DBackpropFilter: ({ x, dy }, attributes) => {
    const shape = attributes.filterShape as number[];
    const sizes = sizesOf(deep(x.shape), deepFilter(shape), conv2dAttributes(attributes));
    return filterGradient(asTensor(x), asTensor(dy), sizes).reshape(shape);
  },
};

/** Names of the kernels that `replaceWasmKernels` replaces. */
export const replacedKernels = Object.keys(kernels);

/** Puts our kernels in place of wasm's; does nothing the second time. */
export function replaceWasmKernels(): void {
  for (const [kernelName, compute] of Object.entries(kernels)) {
    const known = tf.getKernel(kernelName, 'wasm');
    if (known?.kernelFunc !== undefined && ours.has(known.kernelFunc)) continue;
    if (known !== undefined) tf.unregisterKernel(kernelName, 'wasm');
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) =>
      tf.tidy(() => compute(inputs as unknown as Inputs, attrs as unknown as Attributes));
    ours.add(kernelFunc);
    tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc });
  }
}

const ours = new WeakSet<tf.KernelFunc>();

/** Registers the gradient of conv3dTranspose, which tfjs has for no backend. */
export function registerTransposeGradient(): void {
  if (tf.getGradient('Conv3DBackpropInputV2') !== undefined) return;
  tf.registerGradient({
    kernelName: 'Conv3DBackpropInputV2',
    inputsToSave: ['dy', 'filter'],
    gradFunc: (ddx, saved, attributes) => {
      const [dy, filter] = saved as [tf.Tensor5D, tf.Tensor5D];
      const { strides, pad } = attributes as unknown as {
        strides: number | [number, number, number];
        pad: 'same' | 'valid';
      };
      return {
        dy: () => tf.conv3d(ddx as tf.Tensor5D, filter, strides, pad),
        filter: () =>
          tf.engine().runKernel('Conv3DBackpropFilterV2', { x: ddx as tf.Tensor, dy }, {
            strides,
            pad,
            filterShape: filter.shape,
          } as unknown as tf.NamedAttrMap) as tf.Tensor,
      };
    },
  });
}
