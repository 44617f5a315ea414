// Which backend of TensorFlow.js computes: native, else wasm, else cpu, with the reason said. A
// backend is used only after its operations have passed the self-test.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerMissingGradients } from './gradients.ts';
import { replaceWasmKernels } from './kernels.ts';
import { cpuDevice, startNative } from './native.ts';
import { runSelfTest } from './self-test.ts';

export type BackendName = 'native' | 'wasm' | 'cpu';
export type Backend = {
  name: BackendName;
  reason: string;
  /** What computes: the GPU, or the processor and its threads. */
  device: string;
  versions: Record<string, string>;
  selfTest: { operations: number; worst: number };
};

type Started = { device: string; versions: Record<string, string> } | { problem: string };

const ownRequire = createRequire(import.meta.url);
const wasmPackage = '@tensorflow/tfjs-backend-wasm';

/**
 * Chooses, starts and tests a backend. `wanted` other than `auto` is obeyed or refused.
 * Throws where the wanted backend cannot be had, or where its numbers are wrong.
 */
export async function chooseBackend({
  wanted,
  threads,
  log,
}: {
  wanted: 'auto' | BackendName;
  /** Of one operation of the native backend; wasm and cpu use one. */
  threads?: number | null;
  log: (line: string) => void;
}): Promise<Backend> {
  const passedOver: string[] = [];
  const order: BackendName[] = wanted === 'auto' ? ['native', 'wasm', 'cpu'] : [wanted];
  for (const name of order) {
    const started = await start(name, threads);
    if ('problem' in started) {
      passedOver.push(`${name}: ${started.problem}`);
      continue;
    }
    registerMissingGradients();
    const reason = wanted === 'auto' ? [...passedOver, `${name} starts`].join('; ') : 'asked for';
    const selfTest = runSelfTest();
    const versions = { node: process.versions.node, tfjs: tf.version.tfjs, ...started.versions };
    const backend = { name, reason, device: started.device, versions, selfTest };
    log(startLine(backend));
    return backend;
  }
  if (wanted === 'auto') throw new Error(`no backend can be had. ${passedOver.join('; ')}`);
  throw new Error(
    `backend ${wanted} was asked for but cannot be had: ${passedOver[0].slice(wanted.length + 2)}. Use --backend auto to take the best one that is there.`,
  );
}

/** The one line that a run starts with. */
function startLine({ name, reason, device, versions, selfTest }: Backend): string {
  const tested = `${selfTest.operations} operations tested, worst error ${selfTest.worst.toExponential(1)}`;
  const shown = Object.entries(versions).map(([what, version]) => `${what} ${version}`);
  return `backend ${name} (${reason}) on ${device}; ${shown.join(', ')}; ${tested}`;
}

async function start(name: BackendName, threads?: number | null): Promise<Started> {
  try {
    if (name === 'native') return await startNative({ threads });
    if (name === 'wasm') prepareWasm();
    if (!(await tf.setBackend(name))) return { problem: 'TensorFlow.js cannot start it' };
    const versions: Record<string, string> = {};
    if (name === 'wasm') versions[wasmPackage] = ownRequire(`${wasmPackage}/package.json`).version;
    return { device: cpuDevice(1), versions };
  } catch (error) {
    return { problem: (error as Error).message.split('\n')[0] };
  }
}

function prepareWasm(): void {
  const folder = dirname(ownRequire.resolve(`${wasmPackage}/package.json`));
  setWasmPaths(`${folder}/dist/`);
  setThreadsCount(1);
  replaceWasmKernels();
}
