// Cases on several cores: the same numbers as on one, failures with their reason.

import { afterEach, beforeAll, expect, test } from 'vitest';
import {
  createLearner,
  type Learner,
  type LearnerOptions,
  openLearner,
} from '../../../trainer/learner.ts';
import { levelSizes } from '../../../trainer/network.ts';
import { startCaseWorkers } from '../../../trainer/parallel/case-workers.ts';
import { chooseBackend } from '../../../trainer/tensorflow/backend.ts';
import { numbers } from '../../../trainer/tensorflow/self-test.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: 'wasm', log: () => {} });
});

const open: Learner[] = [];
afterEach(() => {
  for (const learner of open.splice(0)) learner.dispose();
});
const kept = (learner: Learner) => {
  open.push(learner);
  return learner;
};

const options: LearnerOptions = {
  backend: 'wasm',
  patch: [16, 32, 32],
  channelCount: 1,
  classCount: 3,
  features: [2, 3],
  deepSupervision: true,
  optimizer: { kind: 'adam', averaging: 0.9 },
  seed: 4,
};
const batchSize = 3;

const step = (learner: Learner, seed: number) => {
  const images = numbers([batchSize, ...options.patch], seed);
  const labels = Int32Array.from(images, (value) => (value > 0.5 ? 2 : value > 0 ? 1 : 0));
  return learner.step({ images, labels, lossFactors: [0.5, 1, 3], learningRate: 0.01 });
};

test.each([2, 3])('gives on %i cores the numbers of one core, to the last bit', async (cores) => {
  const alone = kept(createLearner(options));
  const shared = kept(await openLearner({ ...options, batchSize, cores }));
  for (let k = 1; k <= 3; k++) expect(step(shared, k)).toEqual(step(alone, k));
  expect(shared.state()).toEqual(alone.state());
});

test('takes a state from one core to several', async () => {
  const alone = kept(createLearner(options));
  step(alone, 1);
  const shared = kept(await openLearner({ ...options, batchSize, cores: 2 }));
  shared.load(alone.state());
  expect(step(shared, 2)).toEqual(step(alone, 2));
});

test('a worker that fails says why', async () => {
  const shape = { channels: 1, classes: 3, features: [2, 3], seed: 4, ...levelSizes(2, true) };
  // Parameters of another network: what the worker is told to assign does not fit.
  const workers = await startCaseWorkers({
    count: 1,
    backend: 'wasm',
    shape,
    patch: [2, 4, 4],
    parameterLengths: [1],
  });
  const batch = {
    images: new Float32Array(64),
    labels: new Int32Array(64),
    lossFactors: [1, 1],
  };
  const part = { loss: 0, losses: new Float32Array(1), gradients: [new Float32Array(1)] };
  expect(() => workers.partOf(batch, [new Float32Array(1)], () => part)).toThrow(
    /a case worker failed: /,
  );
  await workers.close();
});

test('refuses a backend that cannot be had, naming it', async () => {
  const shape = { channels: 1, classes: 2, features: [2], seed: 1, ...levelSizes(1, true) };
  const start = {
    count: 1,
    shape,
    patch: [1, 2, 2] as [number, number, number],
    parameterLengths: [1],
  };
  await expect(startCaseWorkers({ ...start, backend: 'none' as never })).rejects.toThrow(/none/);
});
