// The U-Net: its parameters, shapes and gradients as a whole. Gradients of single operations are
// tested exactly in tensorflow/.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { caseLosses } from '../../trainer/loss.ts';
import { createNetwork, levelSizes, type Network } from '../../trainer/network.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

const hippocampus = {
  channels: 1,
  classes: 3,
  features: [8, 16, 32],
  seed: 1,
  ...levelSizes(3, true),
};

const valuesOf = ({ parameters }: Network) =>
  parameters.map(({ variable }) => [...variable.dataSync()]);

const image = (shape: [number, number, number, number, number], seed = 1) =>
  tf.tensor5d(numbers(shape, seed), shape);

test('has the same parameters for the same seed, and others for another', () => {
  const [first, again, other] = [5, 5, 6].map((seed) => createNetwork({ ...hippocampus, seed }));
  expect(valuesOf(again)).toEqual(valuesOf(first));
  expect(valuesOf(other)).not.toEqual(valuesOf(first));
  for (const network of [first, again, other]) network.dispose();
});

test('has the parameters it says, each under a name of its own', () => {
  const network = createNetwork(hippocampus);
  const names = network.parameters.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(network.parameterCount).toBe(valuesOf(network).flat().length);
  expect(network.parameterCount).toBe(107_571);
  expect(names.slice(0, 3)).toEqual([
    'encoder0/first/filter',
    'encoder0/first/scale',
    'encoder0/first/shift',
  ]);
  expect(names.at(-1)).toBe('logits/bias');
  network.dispose();
});

test('starts with the deviations of He and others, scales of 1 and shifts of 0', () => {
  const network = createNetwork({ ...hippocampus, features: [16, 32, 64] });
  for (const { name, variable } of network.parameters) {
    const values = variable.dataSync<'float32'>();
    if (name.endsWith('scale')) expect(new Set(values)).toEqual(new Set([1]));
    if (name.endsWith('shift')) expect(new Set(values)).toEqual(new Set([0]));
    if (values.length < 5000) continue;
    const inputs = variable.shape.slice(0, -1).reduce((a, b) => a * b, 1);
    const squares = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(squares * inputs).toBeGreaterThan(1.85);
    expect(squares * inputs).toBeLessThan(2.15);
  }
  network.dispose();
});

test('answers one logit per voxel and class, for every size its divisors allow', () => {
  const network = createNetwork({ ...hippocampus, features: [4, 6, 8] });
  expect(network.divisors).toEqual([4, 4, 4]);
  for (const [depth, height, width] of [
    [4, 8, 12],
    [8, 4, 4],
  ]) {
    const shape = tf.tidy(() => network.logits(image([2, depth, height, width, 1])).shape);
    expect(shape).toEqual([2, depth, height, width, 3]);
  }
  network.dispose();
});

test('takes plane images as volumes of depth 1 and leaves their depth alone', () => {
  const network = createNetwork({ ...hippocampus, channels: 2, ...levelSizes(3, false) });
  expect(network.divisors).toEqual([1, 4, 4]);
  const shapes = network.parameters.filter(({ variable }) => variable.rank === 5);
  expect(shapes.every(({ variable }) => variable.shape[0] === 1)).toBe(true);
  expect(tf.tidy(() => network.logits(image([3, 1, 8, 12, 2])).shape)).toEqual([3, 1, 8, 12, 3]);
  network.dispose();
});

test("answers each case by itself: another case in the batch does not change a case's logits", () => {
  const network = createNetwork({ ...hippocampus, features: [4, 8] });
  const [one, two] = [image([1, 4, 4, 6, 1], 1), image([1, 4, 4, 6, 1], 2)];
  const alone = tf.tidy(() => network.logits(one).dataSync());
  const together = tf.tidy(() => network.logits(tf.concat([one, two], 0)).dataSync());
  expect(relativeError(together.slice(0, alone.length), alone)).toBeLessThan(1e-5);
  tf.dispose([one, two]);
  network.dispose();
});

test.each([
  ['volumes', true],
  ['planes', false],
])('has gradients that agree with finite differences, for %s', (_, deep) => {
  const network = createNetwork({
    ...hippocampus,
    features: [3, 4],
    seed: 3,
    ...levelSizes(2, deep),
  });
  const shape: [number, number, number, number, number] = [2, deep ? 4 : 1, 4, 6, 1];
  const labels = tf.tensor4d(
    numbers(shape, 7).map((value) => (value > 0.4 ? 2 : value > 0 ? 1 : 0)),
    shape.slice(0, 4) as [number, number, number, number],
    'int32',
  );
  const loss = () =>
    tf.tidy(() => caseLosses(network.logits(image(shape)), labels).sum()) as tf.Scalar;
  const { grads } = tf.variableGrads(
    loss,
    network.parameters.map(({ variable }) => variable),
  );
  const errors = network.parameters.map(({ variable }, k) => {
    const values = variable.dataSync<'float32'>().slice();
    const direction = numbers(variable.shape, k + 1);
    const lossAt = (by: number) => {
      const moved = values.map((value, i) => value + by * direction[i]);
      tf.tidy(() => variable.assign(tf.tensor(moved, variable.shape)));
      return tf.tidy(() => loss().dataSync()[0]);
    };
    const numeric = (lossAt(3e-4) - lossAt(-3e-4)) / 6e-4;
    lossAt(0);
    const gradient = grads[variable.name].dataSync<'float32'>();
    const found = gradient.reduce((sum, value, i) => sum + value * direction[i], 0);
    return Math.abs(numeric - found) / (Math.abs(found) + 0.01);
  });
  // Kinks of the activation spoil some of them; each operation is tested exactly by the self-test.
  expect(errors.sort((a, b) => a - b)[Math.floor(errors.length / 2)]).toBeLessThan(0.005);
  tf.dispose([labels, grads]);
  network.dispose();
});

test('has the same gradients on this backend, with its own kernels, as on the cpu backend', async () => {
  const network = createNetwork({ ...hippocampus, features: [3, 4], seed: 3 });
  const images = numbers([1, 4, 4, 6, 1], 1);
  const labels = Int32Array.from(images, (value) => (value > 0.3 ? 2 : value > -0.3 ? 1 : 0));
  const gradients = () =>
    tf.tidy(() => {
      const { grads } = tf.variableGrads(() =>
        caseLosses(
          network.logits(tf.tensor5d(images, [1, 4, 4, 6, 1])),
          tf.tensor4d(labels, [1, 4, 4, 6], 'int32'),
        ).sum(),
      );
      return network.parameters.map(({ variable }) => grads[variable.name].dataSync());
    });
  const found = gradients();
  const here = tf.getBackend();
  await tf.setBackend('cpu');
  const wanted = gradients();
  await tf.setBackend(here);
  for (const [k, gradient] of found.entries()) {
    expect(relativeError(gradient, wanted[k])).toBeLessThan(1e-4);
  }
  network.dispose();
});

test('leaves no tensor behind when it is disposed of', () => {
  const before = tf.memory().numTensors;
  const network = createNetwork(hippocampus);
  expect(tf.memory().numTensors).toBe(before + network.parameters.length);
  tf.tidy(() => network.logits(image([1, 4, 4, 4, 1]))).dispose();
  network.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test('segments on its coarser levels, too, when they are to learn it', () => {
  const plain = createNetwork({ ...hippocampus, features: [3, 4, 5] });
  const network = createNetwork({ ...hippocampus, features: [3, 4, 5], deepSupervision: true });
  expect(network.outputStrides).toEqual([
    [1, 1, 1],
    [2, 2, 2],
  ]);
  const shapes = tf.tidy(() => network.outputs(image([1, 4, 8, 4, 1])).map(({ shape }) => shape));
  expect(shapes).toEqual([
    [1, 4, 8, 4, 3],
    [1, 2, 4, 2, 3],
  ]);
  expect(network.parameterCount - plain.parameterCount).toBe(4 * 3 + 3);
  for (const one of [plain, network]) one.dispose();
});

test('takes kernels and strides level by level, for voxels longer than wide', () => {
  const kernels: [number, number, number][] = [
    [1, 3, 3],
    [3, 3, 3],
    [3, 3, 3],
  ];
  const strides: [number, number, number][] = [
    [1, 1, 1],
    [1, 2, 2],
    [2, 2, 2],
  ];
  const network = createNetwork({ ...hippocampus, kernels, strides, deepSupervision: true });
  expect(network.divisors).toEqual([2, 4, 4]);
  expect(network.outputStrides).toEqual([
    [1, 1, 1],
    [1, 2, 2],
  ]);
  const outputs = tf.tidy(() => network.outputs(image([1, 2, 8, 4, 1])).map(({ shape }) => shape));
  expect(outputs).toEqual([
    [1, 2, 8, 4, 3],
    [1, 2, 4, 2, 3],
  ]);
  network.dispose();
});
