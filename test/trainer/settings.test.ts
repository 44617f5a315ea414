// Environment, flags, defaults, and what the trainer refuses before it starts.

import { expect, test } from 'vitest';
import type { SettingsInput } from '../../api/contract/settings.ts';
import {
  exitCodes,
  groupKeys,
  readEnvironment,
  resolveSettings,
  TrainerError,
} from '../../trainer/settings.ts';

const env = {
  CW_API: 'http://127.0.0.1:8787/',
  CW_JOB: 'job1',
  CW_TOKEN: 'secret',
  CW_DATA: '/data',
  CW_OUT: '/out',
};

const job = (settings: SettingsInput) => ({ settings }) as never;

function refusal(action: () => unknown): TrainerError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(TrainerError);
    expect((error as TrainerError).exitCode).toBe(exitCodes.configuration);
    return error as TrainerError;
  }
  throw new Error('nothing was refused');
}

test('the environment is read, and a flag chooses the backend', () => {
  expect(readEnvironment(env, ['--backend', 'cpu'])).toEqual({
    api: 'http://127.0.0.1:8787',
    job: 'job1',
    token: 'secret',
    dataPath: '/data',
    outPath: '/out',
    threads: null,
    backend: 'cpu',
  });
  expect(readEnvironment(env, ['--backend=wasm']).backend).toBe('wasm');
  expect(readEnvironment(env, []).backend).toBeNull();
});

test.each(Object.keys(env))('a missing %s is named', (name) => {
  expect(refusal(() => readEnvironment({ ...env, [name]: '' }, [])).message).toContain(name);
});

test('unknown flags, backends and addresses are refused', () => {
  refusal(() => readEnvironment(env, ['--gpu']));
  refusal(() => readEnvironment(env, ['--backend', 'webgl']));
  refusal(() => readEnvironment(env, ['--backend']));
  refusal(() => readEnvironment({ ...env, CW_API: 'ftp://a' }, []));
});

test('threads are a whole number, or all there are', () => {
  const threadsOf = (CW_THREADS: string) => readEnvironment({ ...env, CW_THREADS }, []).threads;
  expect(threadsOf('2')).toBe(2);
  expect(threadsOf('')).toBeNull();
  for (const wrong of ['0', '-1', '1.5', 'all', '100000']) {
    expect(refusal(() => threadsOf(wrong)).message).toContain(`"${wrong}"`);
  }
});

test('settings get the defaults of this trainer, and the flag wins over the setting', () => {
  const settings = { epochs: 20, drawsPerEpoch: 12, batchSize: 4, backend: 'wasm' as const };
  expect(resolveSettings(job(settings), 'cpu')).toEqual({
    trainer: 'counterweight',
    epochs: 20,
    drawsPerEpoch: 12,
    batchSize: 4,
    allowBatchDice: false,
    augmentation: 'mild',
    mirrorInference: true,
    foregroundShare: 1 / 3,
    prefetch: 2,
    optimizer: { kind: 'adam', averaging: 0.995 },
    learningRate: 4e-3,
    features: undefined,
    memoryMiB: 2048,
    deepSupervision: false,
    kernels: undefined,
    strides: undefined,
    patch: null,
    validateEvery: 2,
    checkpointEvery: 1,
    backend: 'cpu',
    stepsPerEpoch: 3,
    steps: 60,
  });
});

test('batch Dice and the other trainer are refused', () => {
  expect(refusal(() => resolveSettings(job({ allowBatchDice: true }), null)).message).toBe(
    'settings.allowBatchDice: this trainer computes Dice per case and has no batch Dice',
  );
  refusal(() => resolveSettings(job({ trainer: 'nnunet' }), null));
});

test('a group is written attribute=value', () => {
  expect(groupKeys({ groups: { site: 'B', labels: 'a+b' } })).toEqual(['site=B', 'labels=a+b']);
});

test('long runs take momentum and its learning rate, unless told otherwise', () => {
  const long = { epochs: 100, drawsPerEpoch: 400, batchSize: 2 };
  expect(resolveSettings(job(long), null)).toMatchObject({
    optimizer: { kind: 'sgd', averaging: 0.995 },
    augmentation: 'full',
    learningRate: 0.01,
  });
  const asked = { ...long, optimizer: 'adam' as const, averaging: 0 };
  expect(resolveSettings(job(asked), null)).toMatchObject({
    optimizer: { kind: 'adam', averaging: 0 },
    learningRate: 4e-3,
  });
});
