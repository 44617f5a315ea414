// What a job's settings accept, fill in and refuse.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  maxDrawsPerEpoch,
  monitorsSchema,
  partialResourcesSchema,
  resourcesSchema,
  settingsSchema,
} from '../../api/contract/settings.ts';

test('empty settings get every default', () => {
  expect(settingsSchema.parse({})).toEqual({
    trainer: 'counterweight',
    epochs: 50,
    drawsPerEpoch: 100,
    batchSize: 2,
    allowBatchDice: false,
  });
});

test('full settings come back as they were', () => {
  const full = {
    trainer: 'counterweight',
    epochs: 3,
    drawsPerEpoch: 12,
    batchSize: 4,
    learningRate: 0.01,
    network: { features: [8, 16] },
    patch: [32, 48, 32],
    validateEvery: 2,
    allowBatchDice: true,
    checkpointEvery: 5,
    backend: 'wasm',
  };
  expect(settingsSchema.parse(full)).toEqual(full);
});

const forNnunet = { trainer: 'nnunet', batchSize: 9, drawsPerEpoch: 2250 };

test('nnU-Net has its own defaults, and its own settings', () => {
  expect(settingsSchema.parse(forNnunet)).toEqual({
    ...forNnunet,
    epochs: 1000,
    allowBatchDice: false,
    nnunet: { configuration: '3d_fullres', plans: 'nnUNetPlans', device: 'auto' },
  });
  const said = { ...forNnunet, epochs: 3, allowBatchDice: true, learningRate: 0.02 };
  const nnunet = { configuration: '2d', plans: 'mine', device: 'cpu', workers: 0 };
  expect(settingsSchema.parse({ ...said, nnunet })).toEqual({ ...said, nnunet });
});

test.each([
  ['a batch size that nobody said', 'batchSize', { batchSize: undefined }],
  ['draws that nobody said', 'drawsPerEpoch', { drawsPerEpoch: undefined }],
  ['what its plans say', 'patch', { patch: [32, 32, 32] }],
  ['what its trainer class does', 'augmentation', { augmentation: 'full' }],
  ['plans by their path', 'nnunet', { nnunet: { plans: '../plans' } }],
])('nnU-Net is refused %s', (_what, key, more) => {
  const parsed = settingsSchema.safeParse({ ...forNnunet, ...more });
  expect(parsed.error?.issues.map(({ path }) => path[0])).toEqual([key]);
});

test("nnU-Net's own settings are for nnU-Net", () => {
  const parsed = settingsSchema.safeParse({ nnunet: {} });
  expect(parsed.error?.issues.map(({ path }) => path)).toEqual([['nnunet']]);
});

test.each([
  ['an unknown key', { epoch: 3 }],
  ['an unknown key of the network', { network: { features: [8], depth: 3 } }],
  ['draws that are no multiple of the batch', { drawsPerEpoch: 7, batchSize: 2 }],
  ['more draws than a plan can hold', { drawsPerEpoch: maxDrawsPerEpoch * 2, batchSize: 2 }],
  ['no epoch', { epochs: 0 }],
  ['half an epoch', { epochs: 0.5 }],
  ['a patch of two sides', { patch: [32, 32] }],
  ['a patch that no memory holds', { patch: [4096, 4096, 4096] }],
  ['a trainer that does not exist', { trainer: 'monai' }],
  ['a number as text', { epochs: '3' }],
  ['a network without levels', { network: { features: [] } }],
])('refuses %s', (_what, settings) => {
  expect(settingsSchema.safeParse(settings).success).toBe(false);
});

test('the fault of an uneven epoch points at drawsPerEpoch', () => {
  const parsed = settingsSchema.safeParse({ drawsPerEpoch: 7, batchSize: 2 });
  expect(parsed.error?.issues[0]?.path).toEqual(['drawsPerEpoch']);
});

test('any whole number of batches makes an epoch', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 1000 }), (b, k) => {
      expect(settingsSchema.safeParse({ batchSize: b, drawsPerEpoch: b * k }).success).toBe(true);
    }),
  );
});

test('resources fill in what is missing, and parts of them may be given alone', () => {
  expect(resourcesSchema.parse({ gpus: { count: 1, type: 'a100' } })).toEqual({
    gpus: { count: 1, type: 'a100' },
    cpus: 2,
    memoryMiB: 4096,
    timeoutSeconds: 86_400,
    queueTimeoutSeconds: 86_400,
    retries: 2,
  });
  expect(partialResourcesSchema.parse({ cpus: 4 })).toEqual({ cpus: 4 });
  expect(resourcesSchema.safeParse({ memory: 4 }).success).toBe(false);
});

test('monitors have the five names of the method and no others', () => {
  const monitors = { groupRegression: { action: 'revert', patience: 2, threshold: 0.1 } };
  expect(monitorsSchema.parse(monitors)).toEqual(monitors);
  expect(monitorsSchema.safeParse({ overfit: { action: 'note' } }).success).toBe(false);
  expect(monitorsSchema.safeParse({ instability: { action: 'pause' } }).success).toBe(false);
});
