// How the tests are found and run. Only files ending .test.ts define tests. Where the native
// backend is built, the files that compute run a second time on it.

import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';
import { enginesFolder } from './support/engines.ts';
import { nativeIsBuilt } from './support/native.ts';
import { nnunetPython } from './support/nnunet.ts';

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

/** What needs the real nnU-Net and PyTorch: `npm run test:nnunet` installs them. */
const withNnunet = 'test/trainer/nnunet/**/*.test.ts';

if (nnunetPython === null) {
  process.stderr.write(
    'SKIPPED: the tests of the nnU-Net adapter, which need Python, PyTorch and nnU-Net. They have a\n' +
      'command of their own, which installs all three: npm run test:nnunet\n',
  );
}

/** What needs real engines: `npm run test:engines` installs and starts them. */
const withEngines = 'test/engines/**/*.test.ts';

if (enginesFolder === null) {
  process.stderr.write(
    'SKIPPED: the tests of launchers on real engines, which need podman, Slurm and moto. They have a\n' +
      'command of their own, which installs them: npm run test:engines\n',
  );
}

/** Many minutes of kills, so only where they are asked for by name: `npm run test:kills`. */
const withKills = 'test/end-to-end/kills.test.ts';
/** Minutes of large data sets in workerd: only where they are asked for, by `npm run test:edge`. */
const ofEdge = 'test/edge/memory.test.ts';

const everything = {
  name: 'tests',
  include: ['test/**/*.test.ts'],
  exclude: [...configDefaults.exclude, withNnunet, withEngines, withKills, ofEdge],
};
const onEdge = { name: 'edge', include: [ofEdge] };
const onNnunet = { name: 'nnunet', include: [withNnunet] };
/** Four hundred processes at once, so nothing else beside it. */
const manyJobs = 'test/engines/many-jobs.test.ts';

const onEngines = {
  name: 'engines',
  include: [withEngines],
  exclude: [...configDefaults.exclude, manyJobs],
  globalSetup: 'test/engines/setup.ts',
};
const onManyJobs = { name: 'many-jobs', include: [manyJobs], sequence: { groupOrder: 1 } };
const onKills = { name: 'kills', include: [withKills] };
const onNative = { name: 'native', include: computing, env: { CW_TEST_BACKEND: 'native' } };

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      everything,
      ...(process.argv.includes(onKills.name) ? [onKills] : []),
      ...(process.argv.includes(onEdge.name) ? [onEdge] : []),
      ...(nativeIsBuilt ? [onNative] : []),
      ...(nnunetPython === null ? [] : [onNnunet]),
      ...(enginesFolder === null ? [] : [onEngines, onManyJobs]),
    ].map((test) => ({
      extends: true,
      test,
    })),
  },
});
