// The factors of METHOD.md sections 5, 7 and 11 in the loss, each with the mutants that must fail.

import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { batchLoss, caseLosses } from '../../trainer/loss.ts';
import { createNetwork, levelSizes } from '../../trainer/network.ts';
import { lossAndGradients } from '../../trainer/step.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { losses } from '../../trainer/tensorflow/reference.ts';
import { numbers, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

const shape: [number, number, number, number] = [3, 2, 3, 2];
const voxels = 12;

const someLabels = (seed: number, classes = 3, sized = shape) =>
  tf.tensor4d(
    Int32Array.from(numbers(sized, seed), (value) => Math.floor(((value + 1) / 2.001) * classes)),
    sized,
    'int32',
  );

const someLogits = (seed: number, classes = 3) =>
  tf.tensor5d(numbers([...shape, classes], seed), [...shape, classes]);

type BatchLoss = (losses: tf.Tensor1D, lossFactors: number[]) => tf.Scalar;

/** d(batch loss)/d(logits), one array per case. */
function gradientsByCase(factors: number[], combine: BatchLoss = batchLoss): number[][] {
  return tf.tidy(() => {
    const labels = someLabels(9);
    const gradient = tf.grad((logits) =>
      combine(caseLosses(logits as tf.Tensor5D, labels), factors),
    )(someLogits(4));
    const values = [...gradient.dataSync()];
    const each = values.length / 3;
    return [0, 1, 2].map((k) => values.slice(k * each, (k + 1) * each));
  });
}

test('is cross entropy plus 1 minus Dice of each case alone, as plain loops find it', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 2, max: 5 }), (seed, classes) => {
      const [logits, labels] = [someLogits(seed, classes), someLabels(seed + 1, classes)];
      const found = tf.tidy(() => [...caseLosses(logits, labels).dataSync()]);
      const wanted = losses(logits.dataSync(), labels.dataSync(), [3, voxels, classes]);
      expect(relativeError(found, wanted)).toBeLessThan(1e-5);
    }),
    { numRuns: 40, seed: 1 },
  );
});

test('gives a case the same loss whatever else is in the batch', () => {
  const [logits, labels] = [someLogits(4), someLabels(9)];
  const together = tf.tidy(() => [...caseLosses(logits, labels).dataSync()]);
  const alone = [0, 1, 2].map((k) =>
    tf.tidy(
      () =>
        caseLosses(
          tf.slice(logits, [k, 0, 0, 0, 0], [1, -1, -1, -1, -1]),
          tf.slice(labels, [k, 0, 0, 0], [1, -1, -1, -1]),
        ).dataSync()[0],
    ),
  );
  expect(relativeError(together, alone)).toBeLessThan(1e-6);
});

test('stays finite for a prediction that is certain and wrong, and for a case without foreground', () => {
  const logits = tf.tensor5d([1000, -1000, -1000, 1000], [1, 1, 1, 2, 2]);
  const wrong = tf.tensor4d([1, 0], [1, 1, 1, 2], 'int32');
  const value = tf.tidy(() => caseLosses(logits, wrong).dataSync()[0]);
  expect(value).toBeGreaterThan(60);
  expect(Number.isFinite(value)).toBe(true);
  const empty = tf.tensor4d([0, 0], [1, 1, 1, 2], 'int32');
  const gradient = tf.tidy(() =>
    tf
      .grad((x) => caseLosses(x as tf.Tensor5D, empty).sum())(logits)
      .dataSync(),
  );
  expect(gradient.every(Number.isFinite)).toBe(true);
});

test('is NaN where a logit is NaN, so that the step can be skipped', () => {
  const logits = tf.tensor5d([Number.NaN, 0, 0, 0], [1, 1, 1, 2, 2]);
  const labels = tf.tensor4d([1, 0], [1, 1, 1, 2], 'int32');
  expect(tf.tidy(() => caseLosses(logits, labels).dataSync()[0])).toBeNaN();
});

test('is the plain mean over the batch when all factors are 1', () => {
  const value = tf.tidy(() => batchLoss(tf.tensor1d([1, 2, 6]), [1, 1, 1]).dataSync()[0]);
  expect(value).toBe(3);
});

test('divides by the number of cases, never by the sum or the largest of the factors', () => {
  const combine = (factors: number[]) =>
    tf.tidy(() => batchLoss(tf.tensor1d([1, 2, 6]), factors).dataSync()[0]);
  expect(combine([2, 2, 2])).toBe(6);
  expect(combine([3, 0.5, 0.25])).toBeCloseTo((3 + 1 + 1.5) / 3, 6);
  expect(combine([0, 0, 0])).toBe(0);
});

test("scales a case's gradient by its factor, and no other case's", () => {
  const plain = gradientsByCase([1, 1, 1]);
  const found = gradientsByCase([1, 5, 0.25]);
  expect(found[0]).toEqual(plain[0]);
  for (const [k, factor] of [
    [1, 5],
    [2, 0.25],
  ]) {
    const scaled = plain[k].map((value) => value * factor);
    expect(relativeError(found[k], scaled)).toBeLessThan(1e-6);
  }
});

const batchNormalised: BatchLoss = (each, factors) =>
  tf.div(tf.sum(tf.mul(each, factors)), tf.sum(tf.tensor1d(factors)));
const appliedTwice: BatchLoss = (each, factors) =>
  batchLoss(
    each,
    factors.map((factor) => factor ** 2),
  );
const ignored: BatchLoss = (each) =>
  batchLoss(
    each,
    Array.from({ length: each.size }, () => 1),
  );
const largestIsOne: BatchLoss = (each, factors) =>
  batchLoss(
    each,
    factors.map((factor) => factor / Math.max(...factors)),
  );

const target = [0.1, 0.2, 0.3, 0.4];
const drawn = [0.55, 0.25, 0.15, 0.05];
const lossFactors = target.map((t, k) => t / drawn[k]);

/**
 * The gradient expected over all batches of two draws by `drawn`, and the gradient of the mean loss
 * under `target`, of a small network: METHOD.md section 11 by full enumeration.
 */
function expectedGradients(combine: BatchLoss): { found: number[]; wanted: number[] } {
  const network = createNetwork({
    channels: 1,
    classes: 3,
    features: [2, 3],
    seed: 2,
    ...levelSizes(2, false),
  });
  const variables = network.parameters.map(({ variable }) => variable);
  const one = (k: number) => ({
    image: tf.tensor5d(numbers([1, 1, 4, 4, 1], k + 1), [1, 1, 4, 4, 1]),
    labels: someLabels(k + 20, 3, [1, 1, 4, 4]),
  });
  const gradient = (cases: number[], factors: number[] | null): number[] =>
    tf.tidy(() => {
      const images = tf.concat(cases.map((k) => one(k).image)) as tf.Tensor5D;
      const labels = tf.concat(cases.map((k) => one(k).labels)) as tf.Tensor4D;
      const { grads } = tf.variableGrads(() => {
        const each = caseLosses(network.logits(images), labels);
        return factors === null ? each.sum() : combine(each, factors);
      }, variables);
      return variables.flatMap((variable) => [...grads[variable.name].dataSync()]);
    });
  const sum = (terms: { share: number; values: number[] }[]) =>
    terms[0].values.map((_, i) =>
      terms.reduce((all, { share, values }) => all + share * values[i], 0),
    );
  const batches = drawn.flatMap((_, i) => drawn.map((_, j) => [i, j]));
  const found = sum(
    batches.map(([i, j]) => ({
      share: drawn[i] * drawn[j],
      values: gradient([i, j], [lossFactors[i], lossFactors[j]]),
    })),
  );
  const wanted = sum(target.map((share, k) => ({ share, values: gradient([k], null) })));
  network.dispose();
  return { found, wanted };
}

test('has, over all batches that can be drawn, exactly the gradient under the target', () => {
  const { found, wanted } = expectedGradients(batchLoss);
  expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.01);
  expect(relativeError(found, wanted)).toBeLessThan(1e-5);
});

test.each<[string, BatchLoss]>([
  ['factors normalised over the batch', batchNormalised],
  ['a factor applied twice', appliedTwice],
  ['factors ignored', ignored],
  ['factors divided by the largest of the batch', largestIsOne],
])('would not have it with %s', (_, mutant) => {
  const { found, wanted } = expectedGradients(mutant);
  expect(relativeError(found, wanted)).toBeGreaterThan(0.01);
});

test('would not keep a factor to its case with Dice over the whole batch', () => {
  const ofBatch = (logits: tf.Tensor5D, labels: tf.Tensor4D) =>
    tf.mul(
      caseLosses(logits.reshape([1, 6, 3, 2, 3]), labels.reshape([1, 6, 3, 2])),
      [1, 1, 1],
    ) as tf.Tensor1D;
  const value = (each: tf.Tensor1D) => [...each.dataSync()];
  const [logits, labels] = [someLogits(4), someLabels(9)];
  const own = tf.tidy(() => value(caseLosses(logits, labels)));
  const shared = tf.tidy(() => value(ofBatch(logits, labels)));
  expect(relativeError(shared, own)).toBeGreaterThan(0.01);
});

test('tells the loss of the step and of each case without its factor', () => {
  const network = createNetwork({
    channels: 1,
    classes: 3,
    features: [2, 3],
    seed: 2,
    ...levelSizes(2, true),
  });
  const images = tf.tensor5d(numbers([2, 2, 4, 4, 1], 1), [2, 2, 4, 4, 1]);
  const labels = someLabels(3, 3, [2, 2, 4, 4]);
  const plain = lossAndGradients({ network, images, labels, lossFactors: [1, 1] });
  const other = lossAndGradients({ network, images, labels, lossFactors: [4, 0.5] });
  expect([...other.losses]).toEqual([...plain.losses]);
  expect(plain.loss).toBeCloseTo((plain.losses[0] + plain.losses[1]) / 2, 5);
  expect(other.loss).toBeCloseTo((4 * plain.losses[0] + 0.5 * plain.losses[1]) / 2, 5);
  network.dispose();
});
