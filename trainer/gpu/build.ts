// `npm run native`: builds what the native backend needs, or does nothing where it stands already.
// `--tensorflow FOLDER` links an installed TensorFlow (the CUDA image does), not the pinned one.

import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commandError } from './problems.ts';
import { buildNative } from './steps.ts';

const keptOutput = 64_000;

/** Runs a program; what it prints is kept for the message in case it fails. */
function run(command: string, args: string[], { cwd }: { cwd: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-keptOutput);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(commandError(command, { missing: error.code === 'ENOENT', output })),
    );
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(commandError(command, { missing: false, output }));
    });
  });
}

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
