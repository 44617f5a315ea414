// Losses of classes and regions with voxels that nobody labelled: those of the other voxels alone,
// gradients as central differences of float64 give them.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { type LabelTask, labelTask } from '../../trainer/labels.ts';
import { createLearner } from '../../trainer/learner.ts';
import { caseLosses } from '../../trainer/loss.ts';
import { taskLosses } from '../../trainer/region-loss.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers, operationError, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

const outputs = 3;
const voxels = 12;
// Two cases; nobody labelled the voxels of 3 in the task of classes, of 4 in that of regions.
const truth = [0, 1, 2, 3, 1, 0, 2, 3, 3, 0, 1, 2, 3, 0, 0, 1, 3, 3, 1, 0, 0, 1, 1, 0];
const classes = labelTask({ background: 0, a: 1, b: 2, ignore: 3 });
const regions = labelTask({ background: 0, whole: [1, 2, 3], core: [2, 3], top: [3], ignore: 4 });
const withIgnored = truth.map((label, k) => (k % 5 === 2 ? 4 : label));

function lossesOf(values: Float32Array, labels: number[], cases: number, task?: LabelTask) {
  return tf.tidy(() => {
    const width = labels.length / cases;
    const given = tf.tensor5d(values, [cases, 1, 1, width, outputs]);
    const wanted = tf.tensor4d(labels, [cases, 1, 1, width], 'int32');
    const of = (some: tf.Tensor) => taskLosses(some as tf.Tensor5D, wanted, task);
    const gradient = tf.grad((some) => of(some).sum())(given);
    return { losses: [...of(given).dataSync()], gradient: [...gradient.dataSync()] };
  });
}

test.each([
  ['classes', classes, truth, 3],
  ['regions', regions, withIgnored, 4],
] as const)('%s: loss and gradient are those of the labelled voxels alone', (...given) => {
  const [, task, labels, ignore] = given;
  const values = Float32Array.from(numbers([2, voxels, outputs], 4));
  const { losses, gradient } = lossesOf(values, [...labels], 2, task);
  for (const place of [0, 1]) {
    const known = Array.from({ length: voxels }, (_, k) => place * voxels + k).filter(
      (k) => labels[k] !== ignore,
    );
    const rows = known.flatMap((k) => [...values.slice(k * outputs, (k + 1) * outputs)]);
    const own = known.map((k) => labels[k]);
    const alone = lossesOf(Float32Array.from(rows), own, 1, { ...task, ignore: null });
    expect(relativeError([losses[place]], alone.losses)).toBeLessThan(1e-5);
    const part = known.flatMap((k) => gradient.slice(k * outputs, (k + 1) * outputs));
    expect(relativeError(part, alone.gradient)).toBeLessThan(1e-5);
  }
  const there = labels.flatMap((label, k) =>
    label === ignore ? gradient.slice(k * outputs, (k + 1) * outputs) : [],
  );
  expect(there.length).toBeGreaterThan(6);
  expect(Math.max(...there.map(Math.abs))).toBe(0);
});

/** The loss of regions as METHOD.md section 7 has it with a question per region, in float64. */
function regionReference(logits: Float64Array, labels: number[], of: number[][]): Float64Array {
  return Float64Array.from([0, 1], (place) => {
    let loss = 1;
    for (const [k, region] of of.entries()) {
      let [count, entropy, both, size] = [0, 0, 0, 0];
      for (let v = place * voxels; v < (place + 1) * voxels; v++) {
        if (labels[v] === 4) continue;
        const p = 1 / (1 + Math.exp(-logits[v * of.length + k]));
        const inside = region.includes(labels[v]);
        count++;
        entropy -= Math.log(inside ? p : 1 - p);
        both += inside ? p : 0;
        size += p + Number(inside);
      }
      loss += (entropy / count - (2 * both + 1e-5) / (size + 1e-5)) / of.length;
    }
    return loss;
  });
}

test('regions: values and gradients are those of the plain formula', () => {
  const error = operationError({
    name: 'regions',
    shapes: [[2, 1, 3, 4, outputs]],
    apply: (logits) =>
      taskLosses(logits as tf.Tensor5D, tf.tensor4d(withIgnored, [2, 1, 3, 4], 'int32'), regions),
    reference: (logits) => regionReference(logits, withIgnored, regions.regions as number[][]),
  });
  expect(error).toBeLessThan(1e-5);
});

test('without ignored voxels the classes have the plain loss; ignored everywhere it is 0', () => {
  const values = Float32Array.from(numbers([2, voxels, outputs], 4));
  const labels = truth.map((label) => label % outputs);
  const masked = lossesOf(values, labels, 2, classes);
  const plain = lossesOf(values, labels, 2);
  expect(relativeError(masked.losses, plain.losses)).toBeLessThan(1e-5);
  expect(relativeError(masked.gradient, plain.gradient)).toBeLessThan(1e-5);
  for (const [task, ignore] of [
    [classes, 3],
    [regions, 4],
  ] as const) {
    const none = lossesOf(values, Array(24).fill(ignore), 2, task);
    expect(Math.max(...none.losses.map(Math.abs))).toBeLessThan(1e-5);
    expect(Math.max(...none.gradient.map(Math.abs))).toBeLessThan(1e-6);
  }
});

test('large logits of regions overflow nothing', () => {
  const values = Float32Array.from({ length: 72 }, (_, k) => (k % 2 === 0 ? 200 : -200));
  const { losses, gradient } = lossesOf(values, truth, 2, regions);
  expect([...losses, ...gradient].every(Number.isFinite)).toBe(true);
});

test('a step learns nothing from a case that nobody labelled', () => {
  const patch: [number, number, number] = [1, 8, 8];
  const size = { patch, channelCount: 1, classCount: outputs, features: [2, 2], seed: 1 };
  const learner = createLearner({ ...size, backend: backendUnderTest as 'wasm', task: classes });
  const images = Float32Array.from(numbers([2, 64], 3));
  const labels = Int32Array.from({ length: 128 }, (_, k) => (k < 64 ? k % 3 : 3));
  const rates = { lossFactors: [0, 1], learningRate: 0.01 };
  const ignored = learner.step({ images, labels, ...rates });
  expect(ignored.gradientNorm).toBeLessThan(1e-6);
  expect(ignored.caseLosses[0]).toBeGreaterThan(0.5);
  const known = learner.step({ images, labels, ...rates, lossFactors: [1, 0] });
  expect(known.gradientNorm).toBeGreaterThan(0.01);
  learner.dispose();
});

test('the plain loss is the one without a task', () => {
  tf.tidy(() => {
    const logits = tf.tensor5d(numbers([1, 1, 1, 4, 3], 2), [1, 1, 1, 4, 3]);
    const labels = tf.tensor4d([0, 1, 2, 1], [1, 1, 1, 4], 'int32');
    const found = taskLosses(logits, labels, undefined).dataSync();
    expect([...found]).toEqual([...caseLosses(logits, labels).dataSync()]);
  });
});
