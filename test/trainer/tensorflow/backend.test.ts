// The choice of a backend and its refusals. What depends on whether the native backend is built is
// skipped where it is not so.

import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { chooseBackend } from '../../../trainer/tensorflow/backend.ts';
import { testedOperations } from '../../../trainer/tensorflow/operations.ts';
import { nativeIsBuilt } from '../../support/native.ts';

const withoutNative = test.skipIf(nativeIsBuilt);

test('starts wasm when asked for it, tested, and says which versions compute', async () => {
  const lines: string[] = [];
  const backend = await chooseBackend({ wanted: 'wasm', log: (line) => lines.push(line) });
  expect(backend).toEqual({
    name: 'wasm',
    reason: 'asked for',
    device: expect.stringMatching(/^CPU, .+, 1 thread$/),
    selfTest: { operations: testedOperations.length, worst: expect.any(Number) },
    versions: {
      tfjs: '4.22.0',
      node: process.versions.node,
      '@tensorflow/tfjs-backend-wasm': '4.22.0',
    },
  });
  expect(tf.getBackend()).toBe('wasm');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(
    /^backend wasm \(asked for\) on CPU, .+; node .+; \d+ operations tested, worst error \S+e-/,
  );
});

test('starts cpu when asked for it', async () => {
  const { name } = await chooseBackend({ wanted: 'cpu', log: () => {} });
  expect([name, tf.getBackend()]).toEqual(['cpu', 'cpu']);
});

withoutNative('takes wasm by itself and says why it is not native', async () => {
  const { name, reason } = await chooseBackend({ wanted: 'auto', log: () => {} });
  expect(name).toBe('wasm');
  expect(reason).toMatch(/^native: it is not built \(npm run native\); wasm starts$/);
});

withoutNative('refuses native where it is not installed, and says what to do', async () => {
  const asked = chooseBackend({ wanted: 'native', log: () => {} });
  await expect(asked).rejects.toThrow(
    /^backend native was asked for but cannot be had: it is not built .*Use --backend auto/,
  );
});

test('refuses to train where an operation answers wrong numbers', async () => {
  const { kernelFunc } = tf.getKernel('Softmax', 'cpu');
  tf.unregisterKernel('Softmax', 'cpu');
  const wrong: tf.KernelFunc = (given) =>
    tf.mul(tf.engine().makeTensorFromTensorInfo(kernelFunc(given) as tf.TensorInfo), 1.01);
  tf.registerKernel({ kernelName: 'Softmax', backendName: 'cpu', kernelFunc: wrong });
  const lines: string[] = [];
  const asked = chooseBackend({ wanted: 'cpu', log: (line) => lines.push(line) });
  await expect(asked).rejects.toThrow(
    /^cross entropy and Dice or its gradient is wrong on backend cpu .* training is refused/,
  );
  expect(lines).toEqual([]);
});
