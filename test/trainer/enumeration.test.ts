// What draws and factors make of a network's gradient, by enumerating everything that can be drawn:
// rules frozen as the service does it, gradients by the function that training calls.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import { type Frozen, frozen } from '../../trainer/experiments/frozen.ts';
import { createNetwork, levelSizes, type Network } from '../../trainer/network.ts';
import { planEpoch } from '../../trainer/sampler.ts';
import { lossAndGradients } from '../../trainer/step.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

let network: Network;

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
  network = createNetwork({
    channels: 1,
    classes: 3,
    features: [2, 3],
    seed: 2,
    ...levelSizes(2, false),
  });
  return () => network.dispose();
});

const ids = ['a', 'b', 'c', 'd'];
const whole = 2 ** 52;
const size: [number, number, number] = [1, 8, 8];

/** Scores of 4, 2, 1 and 1 are drawn with 1/2, 1/4, 1/8 and 1/8: exact, and whole in 8 draws. */
function snapshotOf(strength: number, target: RuleDocumentInput['target'] = {}): Frozen {
  const term = { name: 'score', kind: 'formula' as const, expression: 'case.score' };
  return frozen({
    dataset: 'four',
    cases: { ids, columns: { score: [4, 2, 1, 1] } },
    attributes: { score: { type: 'number', required: true } },
    rules: { target, sampling: { terms: [term] }, correction: { strength } },
  });
}

/** The gradient of a batch of these cases, all parameters in one row. */
function gradientOf(cases: string[], lossFactors: number[]): number[] {
  const { images, labels } = tf.tidy(() => {
    const each = cases.map((id) => {
      const seed = ids.indexOf(id) + 1;
      const image = tf.tensor5d(numbers([1, ...size, 1], seed), [1, ...size, 1]);
      const truth = Int32Array.from(numbers([1, ...size], seed + 20), (value) =>
        Math.floor(((value + 1) / 2.001) * 3),
      );
      return { image, labels: tf.tensor4d(truth, [1, ...size], 'int32') };
    });
    return {
      images: tf.concat(each.map(({ image }) => image)) as tf.Tensor5D,
      labels: tf.concat(each.map((one) => one.labels)) as tf.Tensor4D,
    };
  });
  const { gradients } = lossAndGradients({ network, images, labels, lossFactors });
  tf.dispose([images, labels]);
  return gradients.flatMap((values) => [...values]);
}

type Share = { share: number; values: number[] };

const sumOf = (terms: Share[]) =>
  terms[0].values.map((_, i) =>
    terms.reduce((sum, { share, values }) => sum + share * values[i], 0),
  );

/** The gradient of the mean loss under shares of the cases. */
const gradientUnder = (shares: ArrayLike<number>) =>
  sumOf(ids.map((id, k) => ({ share: shares[k], values: gradientOf([id], [1]) })));

const sharesOf = (units: Float64Array) => units.map((count) => count / whole);

type Factors = (snapshot: Frozen) => (id: string) => number;
const given: Factors = ({ lossFactorOf }) => lossFactorOf;

/** Over all batches of two, each as likely as its two independent draws. */
function expectedGradient(snapshot: Frozen, factors: Factors = given): number[] {
  const drawn = sharesOf(snapshot.drawUnits);
  const factorOf = factors(snapshot);
  const batches = ids.flatMap((one, i) =>
    ids.map((other, j) => ({ share: drawn[i] * drawn[j], cases: [one, other] })),
  );
  return sumOf(
    batches.map(({ share, cases }) => ({ share, values: gradientOf(cases, cases.map(factorOf)) })),
  );
}

const precision = 1e-5;

test('draws as often as it says', () => {
  expect([...sharesOf(snapshotOf(1).drawUnits)]).toEqual([1 / 2, 1 / 4, 1 / 8, 1 / 8]);
});

test('the expected gradient of a corrected snapshot is that of its target', () => {
  const target = {
    terms: [{ name: 'last', kind: 'match' as const, when: 'case.score < 2.0', factor: 3 }],
  };
  for (const snapshot of [snapshotOf(1), snapshotOf(1, target)]) {
    const wanted = gradientUnder(sharesOf(snapshot.resolved.targetUnits));
    expect(Math.max(...wanted.map(Math.abs))).toBeGreaterThan(0.01);
    expect(relativeError(expectedGradient(snapshot), wanted)).toBeLessThan(precision);
  }
});

test('the gradient of a whole epoch is that of the target where every count is whole', () => {
  const snapshot = snapshotOf(1);
  const wanted = gradientUnder([1 / 4, 1 / 4, 1 / 4, 1 / 4]);
  for (const epoch of [0, 1, 2]) {
    const plan = planEpoch(snapshot, { seed: 7, epoch, drawsPerEpoch: 8 });
    const batches = [0, 2, 4, 6].map((at) => plan.slice(at, at + 2));
    const found = sumOf(
      batches.map((cases) => ({
        share: 1 / 4,
        values: gradientOf(cases, cases.map(snapshot.lossFactorOf)),
      })),
    );
    expect(relativeError(found, wanted)).toBeLessThan(precision);
  }
});

test('without correction it is the gradient of the draws, which is another one', () => {
  const snapshot = snapshotOf(0);
  const found = expectedGradient(snapshot);
  expect(relativeError(found, gradientUnder(sharesOf(snapshot.drawUnits)))).toBeLessThan(precision);
  expect(relativeError(found, gradientUnder([1 / 4, 1 / 4, 1 / 4, 1 / 4]))).toBeGreaterThan(0.05);
});

test('in between it is the gradient of the effective target', () => {
  const snapshot = snapshotOf(0.5);
  const drawn = sharesOf(snapshot.drawUnits);
  const powers = [...drawn].map((share) => (share / 4) ** 0.5);
  const total = powers.reduce((sum, power) => sum + power, 0);
  const wanted = gradientUnder(powers.map((power) => power / total));
  expect(relativeError(expectedGradient(snapshot), wanted)).toBeLessThan(precision);
});

test.each<[string, Factors]>([
  [
    'a factor applied twice',
    ({ lossFactorOf }) =>
      (id) =>
        lossFactorOf(id) ** 2,
  ],
  ['factors ignored', () => () => 1],
  [
    'factors upside down',
    ({ lossFactorOf }) =>
      (id) =>
        1 / lossFactorOf(id),
  ],
  [
    'ids off by one',
    ({ lossFactorOf }) =>
      (id) =>
        lossFactorOf(ids[(ids.indexOf(id) + 1) % ids.length]),
  ],
])('would not be the gradient of the target with %s', (_, mutant) => {
  const snapshot = snapshotOf(1);
  const wanted = gradientUnder([1 / 4, 1 / 4, 1 / 4, 1 / 4]);
  expect(relativeError(expectedGradient(snapshot, mutant), wanted)).toBeGreaterThan(0.05);
});
