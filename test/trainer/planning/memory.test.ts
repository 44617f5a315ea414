// The estimate of memory against what TensorFlow.js counts in a real step.

import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { createLearner } from '../../../trainer/learner.ts';
import type { Size } from '../../../trainer/nifti.ts';
import {
  nativeArrays,
  parameterCount,
  type StepSize,
  stepBytes,
  wasmArrays,
} from '../../../trainer/planning/memory.ts';
import { kernelsFor, stridesFor } from '../../../trainer/planning/topology.ts';
import { type BackendName, chooseBackend } from '../../../trainer/tensorflow/backend.ts';
import { backendUnderTest } from '../../support/native.ts';

let backend: BackendName;

beforeAll(async () => {
  backend = (await chooseBackend({ wanted: backendUnderTest, log: () => {} })).name;
});

type Case = Pick<StepSize, 'patch' | 'features' | 'channels' | 'classes' | 'batchSize'> & {
  spacing: Size;
};

test.each<Case>([
  {
    patch: [16, 32, 32],
    spacing: [1, 1, 1],
    features: [8, 16, 32],
    channels: 1,
    classes: 3,
    batchSize: 1,
  },
  {
    patch: [12, 32, 48],
    spacing: [4, 1, 1],
    features: [4, 8, 16],
    channels: 2,
    classes: 2,
    batchSize: 1,
  },
  {
    patch: [1, 128, 128],
    spacing: [1, 1, 1],
    features: [8, 16],
    channels: 1,
    classes: 4,
    batchSize: 1,
  },
])('a step of $patch needs what is estimated, or up to half of it', async (given) => {
  const { patch, features, channels, classes, batchSize, spacing } = given;
  const strides = stridesFor(spacing, patch, { levels: features.length, exact: true });
  const size = { ...given, strides, kernels: kernelsFor(spacing, patch, strides) };
  const learner = createLearner({
    ...size,
    backend,
    channelCount: channels,
    classCount: classes,
    seed: 1,
  });
  expect(learner.parameterCount).toBe(parameterCount(size));
  const voxels = batchSize * patch[0] * patch[1] * patch[2];
  const input = {
    images: Float32Array.from({ length: voxels * channels }, (_, k) => Math.sin(k)),
    labels: Int32Array.from({ length: voxels }, (_, k) => k % classes),
    lossFactors: Array.from({ length: batchSize }, () => 1),
    learningRate: 1e-3,
  };
  const { peakBytes } = await tf.profile(() => {
    learner.step(input);
  });
  const estimate = stepBytes(size, backend === 'native' ? nativeArrays : wasmArrays);
  expect(estimate).toBeGreaterThan(peakBytes);
  expect(estimate).toBeLessThan(2 * peakBytes);
  learner.dispose();
});
