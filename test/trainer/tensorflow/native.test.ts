// The native backend where it is built: what it says of itself, that the self-test guards it too,
// and what it must share with the rest.

import { createRequire } from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Backend, chooseBackend } from '../../../trainer/tensorflow/backend.ts';
import { testedOperations } from '../../../trainer/tensorflow/operations.ts';
import { numbers, runSelfTest } from '../../../trainer/tensorflow/self-test.ts';
import { nativeIsBuilt } from '../../support/native.ts';

const lines: string[] = [];
let backend: Backend;
const asked = () =>
  chooseBackend({ wanted: 'native', threads: 2, log: (line) => lines.push(line) });

describe.skipIf(!nativeIsBuilt)('the native backend', () => {
  beforeAll(async () => {
    // As in Node 23 and later, which lack what tfjs-node calls.
    delete (util as { isNullOrUndefined?: unknown }).isNullOrUndefined;
    backend = await asked();
  });

  test('says device, versions and self-test when it starts', () => {
    expect(backend).toEqual({
      name: 'native',
      reason: 'asked for',
      device: expect.stringMatching(/^(CPU, .+, 2 threads|GPU(, .+)?)$/),
      versions: {
        node: process.versions.node,
        tfjs: '4.22.0',
        'tfjs-node': '4.22.0',
        libtensorflow: expect.stringMatching(/^2\.\d+\.\d+/),
      },
      selfTest: { operations: testedOperations.length, worst: expect.any(Number) },
    });
    expect(backend.selfTest.worst).toBeLessThan(5e-6);
    expect(lines).toEqual([
      expect.stringContaining(`libtensorflow ${backend.versions.libtensorflow}`),
    ]);
  });

  test('is what is taken where nothing else is asked for, and can be asked for again', async () => {
    const { name, reason } = await chooseBackend({ wanted: 'auto', log: () => {} });
    expect([name, reason, tf.getBackend()]).toEqual(['native', 'native starts', 'tensorflow']);
  });

  test('has set what TensorFlow reads, and kept what was there', () => {
    expect(process.env).toMatchObject({
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      TF_DETERMINISTIC_OPS: '1',
      NVIDIA_TF32_OVERRIDE: '0',
      TF_NUM_INTRAOP_THREADS: '2',
    });
  });

  test.each(['Conv3D', 'Conv3DBackpropInputV2', 'Conv3DBackpropFilterV2', 'Softmax'])(
    'is refused when its %s is off by a part in ten thousand',
    (kernelName) => {
      const { kernelFunc } = tf.getKernel(kernelName, 'tensorflow');
      const swap = (func: tf.KernelFunc) => {
        tf.unregisterKernel(kernelName, 'tensorflow');
        tf.registerKernel({ kernelName, backendName: 'tensorflow', kernelFunc: func });
      };
      swap((given) => tf.tidy(() => tf.mul(kernelFunc(given) as unknown as tf.Tensor, 1.0001)));
      try {
        expect(() => runSelfTest()).toThrow('is wrong on backend tensorflow');
      } finally {
        swap(kernelFunc);
      }
    },
  );

  test('answers the same bits when asked twice', () => {
    const gradient = () =>
      tf.tidy(() => {
        const x = tf.tensor5d(numbers([2, 8, 12, 8, 4], 1), [2, 8, 12, 8, 4]);
        const filter = tf.tensor5d(numbers([3, 3, 3, 4, 4], 2), [3, 3, 3, 4, 4]);
        return tf
          .grad((f) => tf.square(tf.conv3d(x, f as tf.Tensor5D, 1, 'same')))(filter)
          .dataSync();
      });
    expect(gradient()).toEqual(gradient());
  });

  test('shares one tfjs with the application: a tensor of one is a tensor of the other', () => {
    const own = createRequire(import.meta.url)('@tensorflow/tfjs');
    expect(tf.tensor1d([1, 2])).toBeInstanceOf(own.Tensor);
    expect(own.getBackend()).toBe('tensorflow');
  });

  test('works where Node no longer has what its code calls', () => {
    expect([...tf.topk(tf.tensor1d([1, 3, 2]), 2).values.dataSync()]).toEqual([3, 2]);
  });

  test('leaves no tensor behind', () => {
    const before = tf.memory().numTensors;
    runSelfTest();
    expect(tf.memory().numTensors).toBe(before);
  });
});
