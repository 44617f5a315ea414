// Adam, clipping, and that a saved state goes on with the numbers of an unbroken run.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import type { Parameter } from '../../trainer/network.ts';
import { clipNorm, createOptimizer, globalNorm, polyDecay } from '../../trainer/optimizer.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const parametersOf = (...values: number[][]): Parameter[] =>
  values.map((numbers, k) => ({ name: `p${k}`, variable: tf.variable(tf.tensor1d(numbers)) }));

const valuesOf = (parameters: Parameter[]) =>
  parameters.map(({ variable }) => [...variable.dataSync()]);

const gradientAt = (step: number) => [
  Float32Array.of(Math.sin(step + 1), -0.5),
  Float32Array.of(Math.cos(step) * 3),
];

test('moves as Adam of the paper does', () => {
  const parameters = parametersOf([1, -2], [3]);
  const optimizer = createOptimizer(parameters);
  const wanted = [1, -2, 3];
  const [first, second] = [
    [0, 0, 0],
    [0, 0, 0],
  ];
  for (let step = 1; step <= 20; step++) {
    optimizer.apply(gradientAt(step), 0.01);
    const gradient = gradientAt(step).flatMap((values) => [...values]);
    for (const [k, g] of gradient.entries()) {
      first[k] = 0.9 * first[k] + 0.1 * g;
      second[k] = 0.999 * second[k] + 0.001 * g * g;
      const [mean, square] = [first[k] / (1 - 0.9 ** step), second[k] / (1 - 0.999 ** step)];
      wanted[k] -= (0.01 * mean) / (Math.sqrt(square) + 1e-8);
    }
  }
  for (const [k, value] of valuesOf(parameters).flat().entries())
    expect(value).toBeCloseTo(wanted[k], 5);
});

test('goes on from its saved state with the numbers of a run that was never stopped', () => {
  const whole = parametersOf([1, -2], [3]);
  const unbroken = createOptimizer(whole);
  for (let step = 0; step < 10; step++) unbroken.apply(gradientAt(step), 0.01);

  const early = parametersOf([1, -2], [3]);
  const before = createOptimizer(early);
  for (let step = 0; step < 4; step++) before.apply(gradientAt(step), 0.01);
  const saved = structuredClone(before.state());
  const late = parametersOf([7, 7], [7]);
  const after = createOptimizer(late);
  after.load(before.values(), saved);
  for (let step = 4; step < 10; step++) after.apply(gradientAt(step), 0.01);

  expect(valuesOf(late)).toEqual(valuesOf(whole));
  expect(after.state()).toEqual(unbroken.state());
  expect(saved.steps).toBe(4);
});

test('would not, if the state were left behind', () => {
  const whole = parametersOf([1, -2], [3]);
  const unbroken = createOptimizer(whole);
  for (let step = 0; step < 4; step++) unbroken.apply(gradientAt(step), 0.01);
  const late = parametersOf(...valuesOf(whole));
  unbroken.apply(gradientAt(4), 0.01);
  createOptimizer(late).apply(gradientAt(4), 0.01);
  expect(valuesOf(late)).not.toEqual(valuesOf(whole));
});

test('keeps a loaded state of its own', () => {
  const parameters = parametersOf([1, -2], [3]);
  const optimizer = createOptimizer(parameters);
  const zeros = () => [new Float32Array(2), new Float32Array(1)];
  const saved = { steps: 1, lists: { first: zeros(), second: zeros() } };
  const values = zeros();
  optimizer.load(values, saved);
  optimizer.apply(gradientAt(0), 0.01);
  expect(saved).toEqual({ steps: 1, lists: { first: zeros(), second: zeros() } });
  expect(values).toEqual(zeros());
});

test('moves by momentum 0.99 with Nesterov and a little weight decay', () => {
  const parameters = parametersOf([1, -2], [3]);
  const optimizer = createOptimizer(parameters, { kind: 'sgd', averaging: 0 });
  const wanted = [1, -2, 3];
  const speed = [0, 0, 0];
  for (let step = 1; step <= 20; step++) {
    optimizer.apply(gradientAt(step), 0.001);
    for (const [k, own] of gradientAt(step)
      .flatMap((values) => [...values])
      .entries()) {
      const gradient = own + 3e-5 * wanted[k];
      speed[k] = 0.99 * speed[k] + gradient;
      wanted[k] -= 0.001 * (gradient + 0.99 * speed[k]);
    }
  }
  expect(valuesOf(parameters).flat()).toEqual(wanted.map((value) => expect.closeTo(value, 5)));
});

test('shows averaged parameters when asked, and goes on from the trained ones', () => {
  const [plain, averaged] = [parametersOf([1, -2], [3]), parametersOf([1, -2], [3])];
  const without = createOptimizer(plain);
  const optimizer = createOptimizer(averaged, { kind: 'adam', averaging: 0.9 });
  const mean = [1, -2, 3];
  for (let step = 1; step <= 30; step++) {
    without.apply(gradientAt(step), 0.01);
    optimizer.apply(gradientAt(step), 0.01);
    const keep = Math.min(0.9, (1 + step) / (10 + step));
    for (const [k, value] of valuesOf(averaged).flat().entries()) {
      mean[k] = keep * mean[k] + (1 - keep) * value;
    }
  }
  expect(valuesOf(averaged)).toEqual(valuesOf(plain));
  optimizer.show('averaged');
  expect(valuesOf(averaged).flat()).toEqual(mean.map((value) => expect.closeTo(value, 5)));
  optimizer.show('trained');
  expect(valuesOf(averaged)).toEqual(valuesOf(plain));
});

test('scales a gradient down to norm 12, all arrays together, and says that it did', () => {
  const parameters = parametersOf([0, 0], [0]);
  const optimizer = createOptimizer(parameters);
  const result = optimizer.apply([Float32Array.of(30, 0), Float32Array.of(40)], 0.01);
  expect(result).toEqual({ gradientNorm: 50, clipped: true });
  const [inFirst, inSecond] = optimizer.state().lists.first;
  expect(globalNorm([inFirst, inSecond])).toBeCloseTo(0.1 * clipNorm, 5);
  expect(inSecond[0] / inFirst[0]).toBeCloseTo(4 / 3, 5);
});

test('leaves a gradient of norm 12 and less as it is', () => {
  const optimizer = createOptimizer(parametersOf([0, 0]));
  expect(optimizer.apply([Float32Array.of(12, 0)], 0.01).clipped).toBe(false);
  expect(optimizer.state().lists.first[0][0]).toBeCloseTo(1.2, 6);
});

test('measures norms beyond the range of float32', () => {
  expect(globalNorm([Float32Array.of(3e30), Float32Array.of(4e30)])).toBeCloseTo(5e30, -25);
  expect(globalNorm([Float32Array.of(1, Number.NaN)])).toBeNaN();
});

test('lowers the learning rate from its start to 0', () => {
  expect(polyDecay(4e-3, 0, 100)).toBe(4e-3);
  expect(polyDecay(4e-3, 50, 100)).toBeCloseTo(4e-3 * 0.5 ** 0.9, 12);
  expect(polyDecay(4e-3, 100, 100)).toBe(0);
});

test('leaves no tensor behind', () => {
  const parameters = parametersOf([0, 0], [0]);
  const optimizer = createOptimizer(parameters);
  const before = tf.memory().numTensors;
  for (let step = 0; step < 3; step++) optimizer.apply(gradientAt(step), 0.01);
  expect(tf.memory().numTensors).toBe(before);
});
