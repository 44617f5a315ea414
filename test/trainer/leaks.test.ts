// What a step leaves behind in memory: neither tensors nor their bytes. A run of 1,000 steps that
// looks at resident memory, too, is `npm run bench -- soak`.

import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { createLearner } from '../../trainer/learner.ts';
import { type BackendName, chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

test('30 steps and windows leave no tensor behind', async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
  const empty = tf.memory().numTensors;
  const patch: [number, number, number] = [4, 8, 8];
  const shape = {
    backend: backendUnderTest as BackendName,
    patch,
    channelCount: 1,
    classCount: 2,
    features: [4, 6],
  };
  const learner = createLearner({ ...shape, seed: 1 });
  const images = numbers([2, ...patch, 1], 3);
  const labels = Int32Array.from(images, (value) => Number(value > 0.3));
  const step = async (k: number) => {
    // Every third step is not finite and skipped: a path of its own.
    const lossFactors = [1, k % 3 === 2 ? Number.POSITIVE_INFINITY : 1];
    const { skipped } = learner.step({ images, labels, lossFactors, learningRate: 1e-3 });
    expect(skipped).toBe(k % 3 === 2);
    if (k % 5 === 0) await learner.probabilities(images.slice(0, 256), patch);
    if (k % 10 === 0) learner.load(learner.state());
  };
  for (let k = 0; k < 3; k++) await step(k);
  const { numTensors, numBytes } = tf.memory();
  for (let k = 0; k < 30; k++) await step(k);
  expect(tf.memory()).toMatchObject({ numTensors, numBytes });
  learner.dispose();
  expect(tf.memory().numTensors).toBe(empty);
});
