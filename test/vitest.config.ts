// How the tests are found and run. Only files ending .test.ts define tests. Where the native
// backend is built, the files that compute run a second time on it.

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { nativeIsBuilt } from './support/native.ts';

/** What computes with tensors and asks `backendUnderTest` on which backend. */
const computing = [
  'test/trainer/leaks.test.ts',
  'test/trainer/loss.test.ts',
  'test/trainer/network.test.ts',
  'test/trainer/planning/memory.test.ts',
  'test/trainer/resume.test.ts',
  'test/trainer/step.test.ts',
  'test/trainer/tensorflow/kernels.test.ts',
];

if (!nativeIsBuilt) {
  process.stderr.write(
    'SKIPPED: the tests of the trainer on the native backend, which is not built here. They run on\n' +
      'wasm. To run them on both: npm run native\n',
  );
}

const everything = { name: 'tests', include: ['test/**/*.test.ts'] };
const onNative = { name: 'native', include: computing, env: { CW_TEST_BACKEND: 'native' } };

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: (nativeIsBuilt ? [everything, onNative] : [everything]).map((test) => ({
      extends: true,
      test,
    })),
  },
});
