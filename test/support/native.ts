// On which backend a test computes: wasm, and where it is built native too. vitest.config.ts runs
// the files that ask for it once on each.

import { existsSync } from 'node:fs';

export const nativeIsBuilt = existsSync(
  new URL('../../trainer/gpu/built/stamp.json', import.meta.url),
);

export const backendUnderTest = process.env.CW_TEST_BACKEND === 'native' ? 'native' : 'wasm';
export const onWasm = backendUnderTest === 'wasm';
