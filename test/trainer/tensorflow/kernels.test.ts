// The kernels that replace those of wasm, and where it is built TensorFlow's own, on random shapes,
// against plain loops in float64.

import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { chooseBackend } from '../../../trainer/tensorflow/backend.ts';
import { replacedKernels, replaceWasmKernels } from '../../../trainer/tensorflow/kernels.ts';
import {
  type ConvolutionShapes,
  convolutionShape,
  convolve,
  convolveBack,
  filterOf,
} from '../../../trainer/tensorflow/reference.ts';
import { numbers, relativeError } from '../../../trainer/tensorflow/self-test.ts';
import { backendUnderTest, onWasm } from '../../support/native.ts';

// What only our own kernels of wasm promise: TensorFlow's have no padding in numbers, for one.
const ofWasm = test.runIf(onWasm);
// TensorFlow adds in another order; where a sum of float32 nearly cancels, more of it is rounding.
const tolerance = onWasm ? 1e-5 : 3e-5;

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

const triple = (least: number, most: number) =>
  fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: least, max: most })));

const anyConvolution: fc.Arbitrary<ConvolutionShapes> = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    size: triple(1, 6),
    kernel: triple(1, 3),
    strides: triple(1, 3),
    channels: fc.integer({ min: 1, max: 3 }),
    outChannels: fc.integer({ min: 1, max: 3 }),
    pad: fc.constantFrom('same' as const, 'valid' as const, ...(onWasm ? [1, 2] : [])),
  })
  .map(({ batch, size, kernel, channels, outChannels, strides, pad }) => ({
    input: [batch, ...size, channels],
    filter: [...kernel, channels, outChannels],
    strides,
    pad,
  }))
  .filter((shapes) => Math.min(...convolutionShape(shapes)) > 0);

function run(kernel: string, inputs: Record<string, number[]>, attributes: object): number[] {
  return tf.tidy(() => {
    const tensors = Object.entries(inputs).map(([name, shape], k) => [
      name,
      tf.tensor(numbers(shape, k + 1), shape),
    ]);
    const out = tf
      .engine()
      .runKernel(kernel, Object.fromEntries(tensors), attributes as tf.NamedAttrMap);
    return [...(out as tf.Tensor).dataSync()];
  });
}

test('convolves like plain loops, whatever the sizes, strides and padding', () => {
  fc.assert(
    fc.property(anyConvolution, (shapes) => {
      const { input, filter, strides, pad } = shapes;
      const found = run('Conv3D', { x: input, filter }, { strides, pad, dilations: [1, 1, 1] });
      const wanted = convolve(numbers(input, 1), numbers(filter, 2), shapes);
      expect(relativeError(found, wanted)).toBeLessThan(tolerance);
    }),
    { numRuns: 150, seed: 1 },
  );
});

test('finds the gradient by the input like plain loops, whatever the sizes', () => {
  fc.assert(
    fc.property(anyConvolution, (shapes) => {
      const { input, filter, strides, pad } = shapes;
      const dy = convolutionShape(shapes);
      const attributes = { strides, pad, inputShape: input };
      const found = run('Conv3DBackpropInputV2', { dy, filter }, attributes);
      const wanted = convolveBack(numbers(dy, 1), numbers(filter, 2), shapes);
      expect(relativeError(found, wanted)).toBeLessThan(tolerance);
    }),
    { numRuns: 150, seed: 2 },
  );
});

test('finds the gradient by the filter like plain loops, whatever the sizes', () => {
  fc.assert(
    fc.property(anyConvolution, (shapes) => {
      const { input, filter, strides, pad } = shapes;
      const dy = convolutionShape(shapes);
      const attributes = { strides, pad, filterShape: filter };
      const found = run('Conv3DBackpropFilterV2', { x: input, dy }, attributes);
      const wanted = filterOf(numbers(input, 1), numbers(dy, 2), shapes);
      expect(relativeError(found, wanted)).toBeLessThan(tolerance);
    }),
    { numRuns: 150, seed: 3 },
  );
});

test('has the gradients of a convolution of planes, as one of depth 1', () => {
  fc.assert(
    fc.property(anyConvolution, (given) => {
      const flat = ([first, , ...rest]: number[]) => [first, ...rest];
      const shapes = {
        ...given,
        input: [given.input[0], 1, ...given.input.slice(2)],
        filter: [1, ...given.filter.slice(1)],
        strides: [1, ...given.strides.slice(1)],
        pad: given.pad === 'same' ? ('same' as const) : ('valid' as const),
      };
      const output = convolutionShape(shapes);
      fc.pre(Math.min(...output) > 0);
      const dy = flat(output);
      const filter = shapes.filter.slice(1);
      const attributes = { strides: shapes.strides.slice(1), pad: shapes.pad, dataFormat: 'NHWC' };
      const byInput = run(
        'Conv2DBackpropInput',
        { dy, filter },
        { ...attributes, inputShape: flat(shapes.input) },
      );
      const byFilter = run(
        'Conv2DBackpropFilter',
        { x: flat(shapes.input), dy },
        { ...attributes, filterShape: filter },
      );
      const [one, two] = [convolveBack, filterOf];
      const { input } = shapes;
      expect(relativeError(byInput, one(numbers(dy, 1), numbers(filter, 2), shapes))).toBeLessThan(
        tolerance,
      );
      expect(relativeError(byFilter, two(numbers(input, 1), numbers(dy, 2), shapes))).toBeLessThan(
        tolerance,
      );
    }),
    { numRuns: 100, seed: 4 },
  );
});

ofWasm('has the gradients of a convolution of planes with its own padding on each side', () => {
  const x = tf.tensor4d(numbers([2, 5, 4, 2], 1), [2, 5, 4, 2]);
  const filter = tf.tensor4d(numbers([3, 2, 2, 3], 2), [3, 2, 2, 3]);
  const pads: [[number, number], [number, number], [number, number], [number, number]] = [
    [0, 0],
    [1, 0],
    [0, 2],
    [0, 0],
  ];
  const explicit = tf.grads((a, f) => tf.conv2d(a as tf.Tensor4D, f as tf.Tensor4D, 1, pads));
  const padded = tf.grads((a, f) =>
    tf.conv2d(tf.pad(a as tf.Tensor4D, pads), f as tf.Tensor4D, 1, 'valid'),
  );
  const wanted = padded([x, filter]);
  for (const [k, found] of explicit([x, filter]).entries()) {
    expect(relativeError(found.dataSync(), wanted[k].dataSync())).toBeLessThan(tolerance);
  }
});

test('cuts slices of any rank exactly', () => {
  const anySlice = fc
    .array(fc.record({ length: fc.nat(5), from: fc.nat(5), size: fc.nat(5) }), {
      minLength: 1,
      maxLength: 6,
    })
    .filter((axes) => axes.every(({ length, from, size }) => from + size <= length));
  fc.assert(
    fc.property(anySlice, (axes) => {
      const shape = axes.map(({ length }) => length);
      const count = shape.reduce((a, b) => a * b, 1);
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
      const begin = axes.map(({ from }) => from);
      const size = axes.map((axis) => axis.size);
      const found = tf.tidy(() => {
        const x = tf.tensor(
          Array.from({ length: count }, (_, k) => k),
          shape,
          'int32',
        );
        return [...tf.slice(x, begin, size).dataSync()];
      });
      const inside = Array.from({ length: count }, (_, k) => k).filter((k) =>
        strides.every((stride, axis) => {
          const at = Math.floor(k / stride) % shape[axis];
          return at >= begin[axis] && at < begin[axis] + size[axis];
        }),
      );
      expect(found).toEqual(inside);
    }),
    { numRuns: 300, seed: 5 },
  );
});

ofWasm('still slices strings and booleans, and refuses a slice that leaves its input', () => {
  expect(tf.slice(tf.tensor(['a', 'b', 'c']), 1, 2).dataSync()).toEqual(['b', 'c']);
  expect([...tf.slice(tf.tensor([true, false, true], [3], 'bool'), 1, 2).dataSync()]).toEqual([
    0, 1,
  ]);
  expect(() => tf.slice(tf.tensor1d([1, 2, 3]), 2, 2)).toThrow(/begin\[0\] \+ size\[0\]/);
});

ofWasm('refuses a dilated convolution instead of answering a wrong one', () => {
  const shape = [1, 4, 4, 4, 1];
  const attributes = { strides: 1, pad: 'same', dilations: [1, 2, 2] };
  expect(() => run('Conv3D', { x: shape, filter: [3, 3, 3, 1, 1] }, attributes)).toThrow(
    'dilated convolution',
  );
});

ofWasm('refuses an order of axes that it does not know', () => {
  const attributes = { strides: 1, pad: 'same', dataFormat: 'NCHW', inputShape: [1, 2, 4, 4] };
  const inputs = { dy: [1, 2, 4, 4], filter: [3, 3, 2, 2] };
  expect(() => run('Conv2DBackpropInput', inputs, attributes)).toThrow('NHWC only');
});

ofWasm('replaces each kernel once', () => {
  const before = replacedKernels.map((name) => tf.getKernel(name, 'wasm').kernelFunc);
  replaceWasmKernels();
  expect(replacedKernels.map((name) => tf.getKernel(name, 'wasm').kernelFunc)).toEqual(before);
  expect(replacedKernels).toHaveLength(6);
});

test('leaves no tensor behind, with gradients and without', () => {
  const before = tf.memory().numTensors;
  tf.tidy(() => {
    const x = tf.tensor5d(numbers([1, 4, 4, 4, 2], 1), [1, 4, 4, 4, 2]);
    const filter = tf.tensor5d(numbers([2, 2, 2, 2, 2], 2), [2, 2, 2, 2, 2]);
    return tf
      .grads((a, f) => tf.conv3d(a as tf.Tensor5D, f as tf.Tensor5D, 2, 'same'))([x, filter])[0]
      .sum();
  }).dispose();
  expect(tf.memory().numTensors).toBe(before);
});
