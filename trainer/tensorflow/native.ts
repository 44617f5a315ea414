// The native backend: TensorFlow's own library under tfjs, as `npm run native` built it into
// trainer/gpu/built. Its JavaScript resolves tfjs from there upwards, so both use one tfjs-core.

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';

type Binding = { TF_Version: string; isUsingGpuDevice(): boolean };

export type Native = { device: string; versions: Record<string, string> };

const built = new URL('../gpu/built/', import.meta.url);
const gpuList = '/proc/driver/nvidia/gpus';

/**
 * What TensorFlow reads from the environment, and only while it loads. A value that is set already
 * is kept: grow instead of taking all GPU memory, deterministic kernels, float32 products that are
 * not rounded to TF32 (the self-test refuses 1e-3), the same library for convolutions on every CPU
 * (without it those that have no AVX512 VNNI get one that shifts where a kernel is shorter than its
 * stride), no chatter on stderr.
 */
const environment: Record<string, string> = {
  TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  TF_DETERMINISTIC_OPS: '1',
  TF_CUDNN_DETERMINISTIC: '1',
  NVIDIA_TF32_OVERRIDE: '0',
  TF_ENABLE_ONEDNN_OPTS: '1',
  TF_CPP_MIN_LOG_LEVEL: '1',
};

/**
 * Loads the native build and makes it tfjs's backend `tensorflow`; `threads` is how many one
 * operation may use, all of the machine's without it. Answers why not where it cannot be had.
 */
export async function startNative({
  threads,
}: {
  threads?: number | null;
}): Promise<Native | { problem: string }> {
  const packageVersion = readVersion();
  if (packageVersion === null) return { problem: 'it is not built (npm run native)' };
  // The folder may be a link to another checkout's: what counts is where its files really are.
  const fromThere = createRequire(realpathSync(new URL('package.json', built)));
  if (fromThere.resolve('@tensorflow/tfjs') !== ownTfjs()) {
    return { problem: `${fileURLToPath(built)} has a tfjs of its own: both must share one` };
  }
  for (const [name, value] of Object.entries(environment)) process.env[name] ??= value;
  if (threads) process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  addRemovedFunction();
  const binding: Binding = fromThere('./binding.node');
  if (tf.findBackendFactory('tensorflow') === null) {
    const { NodeJSKernelBackend } = fromThere('./dist/nodejs_kernel_backend.js');
    fromThere('./dist/register_all_kernels.js');
    tf.registerBackend(
      'tensorflow',
      () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node'),
      3,
    );
  }
  if (!(await tf.setBackend('tensorflow'))) return { problem: 'TensorFlow.js cannot start it' };
  const versions = { 'tfjs-node': packageVersion, libtensorflow: binding.TF_Version };
  const device = binding.isUsingGpuDevice() ? gpuDevice() : `${cpuDevice(threads)}${noGpu()}`;
  return { device, versions };
}

function readVersion(): string | null {
  try {
    return JSON.parse(readFileSync(new URL('package.json', built), 'utf8')).version;
  } catch {
    return null;
  }
}

function ownTfjs(): string {
  return createRequire(import.meta.url).resolve('@tensorflow/tfjs');
}

// tfjs-node 4.22.0 calls it; Node 22 warns of it on stderr, Node 23 has removed it.
function addRemovedFunction(): void {
  const node = util as unknown as { isNullOrUndefined: (value: unknown) => boolean };
  node.isNullOrUndefined = (value) => value === null || value === undefined;
}

/** The processor and how many threads one operation uses. */
export function cpuDevice(threads?: number | null): string {
  const all = cpus();
  const count = threads ?? all.length;
  return `CPU, ${all[0]?.model.trim() ?? 'unknown'}, ${count} thread${count === 1 ? '' : 's'}`;
}

// An image for GPUs sets this variable; without a GPU it computes all the same, slowly.
function noGpu(): string {
  const asked = process.env.NVIDIA_VISIBLE_DEVICES;
  if (asked === undefined || ['', 'void', 'none'].includes(asked)) return '';
  return ' (NO GPU, though this image is for one: start it with --gpus all; driver 555 or newer)';
}

// The binding says only that there is a GPU; the driver lists which.
function gpuDevice(): string {
  try {
    const [first] = readdirSync(gpuList);
    const told = readFileSync(`${gpuList}/${first}/information`, 'utf8');
    return `GPU, ${/^Model:\s*(.+)$/m.exec(told)?.[1] ?? 'unknown'}`;
  } catch {
    return 'GPU';
  }
}
