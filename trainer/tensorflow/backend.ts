// Which backend of TensorFlow.js computes: native, else wasm, else cpu, with the reason said. A
// backend is used only after its operations have passed the self-test.

import { createRequire } from 'node:module';
import { dirname, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerMissingGradients } from './gradients.ts';
import { replaceWasmKernels } from './kernels.ts';
import { runSelfTest } from './self-test.ts';

export type BackendName = 'native' | 'wasm' | 'cpu';
export type Backend = { name: BackendName; reason: string; versions: Record<string, string> };

type Started = { versions: Record<string, string> } | { problem: string };

const ownRequire = createRequire(import.meta.url);
const wasmPackage = '@tensorflow/tfjs-backend-wasm';

/** Where a native package may be: the image's own folder first, then the repository. */
const nativePlaces = ['../gpu/package.json', '../../package.json'];
const nativePackages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/**
 * Chooses, starts and tests a backend. `wanted` other than `auto` is obeyed or refused.
 * Throws where the wanted backend cannot be had, or where its numbers are wrong.
 */
export async function chooseBackend({
  wanted,
  log,
}: {
  wanted: 'auto' | BackendName;
  log: (line: string) => void;
}): Promise<Backend> {
  const passedOver: string[] = [];
  const order: BackendName[] = wanted === 'auto' ? ['native', 'wasm', 'cpu'] : [wanted];
  for (const name of order) {
    const started = await start(name);
    if ('problem' in started) {
      passedOver.push(`${name}: ${started.problem}`);
      continue;
    }
    registerMissingGradients();
    const reason = wanted === 'auto' ? [...passedOver, `${name} starts`].join('; ') : 'asked for';
    const { operations, worst } = runSelfTest();
    const tested = `${operations} operations tested, worst error ${worst.toExponential(1)}`;
    log(`backend ${name} (${reason}); ${tested}`);
    const versions = { tfjs: tf.version.tfjs, node: process.versions.node, ...started.versions };
    return { name, reason, versions };
  }
  if (wanted === 'auto') throw new Error(`no backend can be had. ${passedOver.join('; ')}`);
  throw new Error(
    `backend ${wanted} was asked for but cannot be had: ${passedOver[0].slice(wanted.length + 2)}. Use --backend auto to take the best one that is there.`,
  );
}

async function start(name: BackendName): Promise<Started> {
  try {
    if (name === 'native') return await startNative();
    if (name === 'wasm') prepareWasm();
    if (!(await tf.setBackend(name))) return { problem: 'TensorFlow.js cannot start it' };
    const versions: Record<string, string> = {};
    if (name === 'wasm') versions[wasmPackage] = ownRequire(`${wasmPackage}/package.json`).version;
    return { versions };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function prepareWasm(): void {
  const folder = dirname(ownRequire.resolve(`${wasmPackage}/package.json`));
  setWasmPaths(`${folder}/dist/`);
  setThreadsCount(1);
  replaceWasmKernels();
}

// The binding registers itself as backend "tensorflow" with the tfjs-core beside it, which must be
// the copy that we use.
async function startNative(): Promise<Started> {
  const found = findNative();
  if (found === null) {
    return { problem: 'neither tfjs-node-gpu nor tfjs-node is installed (trainer/gpu or root)' };
  }
  const place = relative(process.cwd(), found.path);
  try {
    await import(pathToFileURL(found.path).href);
  } catch (error) {
    return { problem: `${place} does not load: ${(error as Error).message.split('\n')[0]}` };
  }
  if (tf.findBackendFactory('tensorflow') === null) {
    return { problem: `${place} loads, but with a tfjs-core of its own: both must share one` };
  }
  if (!(await tf.setBackend('tensorflow'))) return { problem: `${place} does not start` };
  return { versions: { [found.name]: found.version } };
}

function findNative(): { name: string; path: string; version: string } | null {
  for (const place of nativePlaces) {
    const fromThere = createRequire(new URL(place, import.meta.url));
    for (const name of nativePackages) {
      try {
        const { version } = fromThere(`${name}/package.json`);
        return { name, path: fromThere.resolve(name), version };
      } catch {
        // Not there: the next place is tried, and the caller says so if there is none.
      }
    }
  }
  return null;
}
