// `npm run native`: builds what the native backend needs, or does nothing where it stands already.
// `--tensorflow FOLDER` links an installed TensorFlow (the CUDA image does), not the pinned one.

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from './run.ts';
import { buildNative } from './steps.ts';

const { values } = parseArgs({ options: { tensorflow: { type: 'string' } } });
const started = performance.now();
const say = (line: string) => process.stderr.write(`native: ${line}\n`);
try {
  const folder = dirname(fileURLToPath(import.meta.url));
  const result = await buildNative({ folder, tensorflow: values.tensorflow, run, say });
  const spentMs = performance.now() - started;
  const spent = spentMs < 1000 ? `${Math.round(spentMs)} ms` : `${Math.round(spentMs / 1000)} s`;
  say(`${result} (${spent}); the trainer takes it by itself (--backend auto or native).`);
} catch (error) {
  say((error as Error).message);
  say('nothing was changed. The trainer works without it, on wasm.');
  process.exitCode = 1;
}
