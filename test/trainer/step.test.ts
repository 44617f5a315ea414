// One whole step: it learns, skips what is not finite, says what it clipped, and leaks nothing.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { batchLoss, caseLosses } from '../../trainer/loss.ts';
import { createNetwork, levelSizes, type Network } from '../../trainer/network.ts';
import { createOptimizer, type Optimizer } from '../../trainer/optimizer.ts';
import { lossAndGradients, type StepInput, trainStep } from '../../trainer/step.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

let network: Network;
let optimizer: Optimizer;
let input: StepInput;

beforeEach(() => {
  network = createNetwork({
    channels: 1,
    classes: 2,
    features: [4, 6],
    seed: 1,
    ...levelSizes(2, true),
  });
  optimizer = createOptimizer(network.parameters);
  const values = numbers([2, 4, 4, 6, 1], 1);
  const images = tf.tensor5d(values, [2, 4, 4, 6, 1]);
  const labels = tf.tensor4d(
    Int32Array.from(values, (value) => (value > 0.2 ? 1 : 0)),
    [2, 4, 4, 6],
    'int32',
  );
  input = { network, optimizer, images, labels, lossFactors: [1, 1], learningRate: 0.01 };
  return () => {
    tf.dispose([images, labels]);
    network.dispose();
  };
});

const parameterValues = () => network.parameters.map(({ variable }) => [...variable.dataSync()]);

test('learns: the loss of a batch falls to a tenth', () => {
  const first = trainStep(input).loss;
  let last = first;
  for (let step = 0; step < 80; step++) last = trainStep(input).loss;
  expect(last).toBeLessThan(first / 10);
});

test('gives the same numbers again from the same seed', () => {
  const results = [0, 1].map(() => {
    const own = createNetwork({
      channels: 1,
      classes: 2,
      features: [4, 6],
      seed: 1,
      ...levelSizes(2, true),
    });
    const its = { ...input, network: own, optimizer: createOptimizer(own.parameters) };
    for (let step = 0; step < 3; step++) trainStep(its);
    const values = own.parameters.map(({ variable }) => [...variable.dataSync()]);
    own.dispose();
    return values;
  });
  expect(results[1]).toEqual(results[0]);
});

test.each([
  ['an image that is not finite', Number.NaN, [1, 1]],
  ['a factor that is not finite', 0, [1, Number.POSITIVE_INFINITY]],
])('skips the step of %s: nothing reaches the parameters or Adam', (_, added, lossFactors) => {
  trainStep(input);
  const before = parameterValues();
  const moments = optimizer.state().lists.first.map((values) => [...values]);
  const images = tf.tidy(() => tf.add(input.images, added)) as tf.Tensor5D;
  const result = trainStep({ ...input, images, lossFactors });
  images.dispose();
  expect(result).toMatchObject({ skipped: true, clipped: false, gradientNorm: Number.NaN });
  expect(parameterValues()).toEqual(before);
  expect(optimizer.state().lists.first.map((values) => [...values])).toEqual(moments);
  expect(optimizer.state().steps).toBe(1);
  expect(trainStep(input).skipped).toBe(false);
});

test('says when it clipped, and the norm before clipping', () => {
  const small = trainStep(input);
  expect(small.clipped).toBe(false);
  expect(small.gradientNorm).toBeGreaterThan(0);
  const large = trainStep({ ...input, lossFactors: [1e4, 1e4] });
  expect(large).toMatchObject({ clipped: true, skipped: false });
  expect(large.gradientNorm).toBeGreaterThan(12);
});

test('leaves no tensor behind, skipped or not, and the images to their owner', () => {
  trainStep(input);
  const before = tf.memory().numTensors;
  trainStep(input);
  trainStep({ ...input, lossFactors: [1, Number.NaN] });
  expect(tf.memory().numTensors).toBe(before);
  expect(input.images.isDisposed).toBe(false);
});

test('adds up the same loss and gradients from cases one by one as from the whole batch', () => {
  const own = createNetwork({
    channels: 1,
    classes: 2,
    features: [2],
    seed: 1,
    ...levelSizes(1, true),
  });
  const shape: [number, number, number, number, number] = [2, 16, 32, 32, 1];
  const images = tf.tensor5d(numbers(shape, 1), shape);
  const labels = tf.tidy(() =>
    tf.greater(images, 0).toInt().reshape<tf.Tensor4D>(shape.slice(0, 4)),
  );
  const lossFactors = [0.5, 3];
  const both = lossAndGradients({ network: own, images, labels, lossFactors });
  const alone = [0, 1].map((k) =>
    lossAndGradients({
      network: own,
      images: tf.slice(images, k, 1),
      labels: tf.slice(labels, k, 1),
      lossFactors: [lossFactors[k]],
    }),
  );
  expect(both.loss).toBeCloseTo((alone[0].loss + alone[1].loss) / 2, 5);
  expect([...both.losses]).toEqual(alone.map(({ losses }) => expect.closeTo(losses[0], 5)));
  for (const [k, gradient] of both.gradients.entries()) {
    const wanted = gradient.map(
      (_, i) => (alone[0].gradients[k][i] + alone[1].gradients[k][i]) / 2,
    );
    expect(relativeError(gradient, wanted)).toBeLessThan(1e-5);
  }
  const pooled = tf.tidy(() =>
    tf
      .variableGrads(() => batchLoss(caseLosses(own.logits(images), labels), lossFactors))
      .value.dataSync(),
  );
  expect(both.loss).toBeCloseTo(pooled[0], 5);
  tf.dispose([images, labels]);
  own.dispose();
});

test('with deep supervision the coarser levels learn from every second label', () => {
  const own = createNetwork({
    channels: 1,
    classes: 2,
    features: [4, 6, 8],
    seed: 1,
    ...levelSizes(3, true),
    deepSupervision: true,
  });
  const values = numbers([1, 4, 8, 8, 1], 1);
  const images = tf.tensor5d(values, [1, 4, 8, 8, 1]);
  const classes = Int32Array.from(values, (value) => (value > 0.2 ? 1 : 0));
  const labels = tf.tensor4d(classes, [1, 4, 8, 8], 'int32');
  const coarse = classes.filter((_, k) => (k >> 6) % 2 === 0 && (k >> 3) % 2 === 0 && k % 2 === 0);
  const { loss } = lossAndGradients({ network: own, images, labels, lossFactors: [1] });
  const wanted = tf.tidy(() => {
    const [fine, second] = own.outputs(images);
    const truth = tf.tensor4d(coarse, [1, 2, 4, 4], 'int32');
    const [one, two] = [caseLosses(fine!, labels), caseLosses(second!, truth)];
    return (one.dataSync()[0]! + two.dataSync()[0]! / 2) / 1.5;
  });
  expect(relativeError([loss], [wanted])).toBeLessThan(1e-5);
  tf.dispose([images, labels]);
  own.dispose();
});
