// Whether the native backend is built here. Tests that need it are skipped without it, loudly.

import { existsSync } from 'node:fs';

export const nativeIsBuilt = existsSync(
  new URL('../../trainer/gpu/built/stamp.json', import.meta.url),
);

/** The backends whose numbers the tests check; says what is left out and how to have it. */
export function testedBackends(): ('wasm' | 'native')[] {
  if (nativeIsBuilt) return ['wasm', 'native'];
  process.stderr.write(
    'SKIPPED on the native backend: it is not built here. To test it too: npm run native\n',
  );
  return ['wasm'];
}
