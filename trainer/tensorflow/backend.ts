// Which backend of TensorFlow.js computes: native, else wasm, else cpu, with the reason said. A
// backend is used only after its gradients have passed the self-test.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerMissingGradients } from './gradients.ts';
import { replaceWasmKernels } from './kernels.ts';
import { runSelfTest } from './self-test.ts';

export type BackendName = 'native' | 'wasm' | 'cpu';
export type Backend = { name: BackendName; reason: string; versions: Record<string, string> };

const require = createRequire(import.meta.url);
const nativePackages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/**
 * Chooses, starts and tests a backend. `wanted` other than `auto` is obeyed or refused.
 * Throws where the wanted backend cannot be had or its gradients are wrong.
 */
export async function chooseBackend({
  wanted,
  log,
}: {
  wanted: 'auto' | BackendName;
  log: (line: string) => void;
}): Promise<Backend> {
  const reasons: string[] = [];
  const order: BackendName[] = wanted === 'auto' ? ['native', 'wasm', 'cpu'] : [wanted];
  for (const name of order) {
    const problem = await start(name);
    if (problem === null) {
      registerMissingGradients();
      const reason = wanted === 'auto' ? [...reasons, `${name} starts`].join('; ') : 'as asked for';
      const tested = runSelfTest();
      log(
        `backend ${name} (${reason}); ${tested.operations} gradients checked, worst error ${tested.worst.toExponential(1)}`,
      );
      return { name, reason, versions: { tfjs: tf.version.tfjs, node: process.versions.node } };
    }
    reasons.push(`${name}: ${problem}`);
  }
  throw new Error(`no backend of TensorFlow.js can be used. ${reasons.join('; ')}`);
}

async function start(name: BackendName): Promise<string | null> {
  if (name === 'native') return await startNative();
  if (name === 'wasm') {
    const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
    setWasmPaths(`${folder}/dist/`);
    setThreadsCount(1);
    replaceWasmKernels();
  }
  try {
    return (await tf.setBackend(name)) ? null : 'TensorFlow.js cannot start it';
  } catch (error) {
    return (error as Error).message;
  }
}

// The binding registers itself as backend "tensorflow" of the tfjs-core that both must share.
async function startNative(): Promise<string | null> {
  const installed = nativePackages.find((name) => resolves(name));
  if (installed === undefined) return 'tfjs-node is not installed';
  try {
    await import(installed);
    return (await tf.setBackend('tensorflow')) ? null : `${installed} does not start`;
  } catch (error) {
    return `${installed} does not load: ${(error as Error).message}`;
  }
}

function resolves(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}
