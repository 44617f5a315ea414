// Cases of a batch computed at the same time, one per processor core: TensorFlow.js has one thread
// on wasm. The parts are added in case order, so the numbers do not depend on how many workers
// there are.

import { Worker } from 'node:worker_threads';
import type { LabelTask } from '../labels.ts';
import type { NetworkShape } from '../network.ts';
import type { Size } from '../nifti.ts';
import { type Batch, type Part, sumOfParts } from '../step.ts';
import type { BackendName } from '../tensorflow/backend.ts';
import {
  createMemory,
  join,
  type Memory,
  setState,
  sharedParameters,
  split,
  states,
} from './shared-memory.ts';
import type { WorkerStart } from './worker.ts';

export type CaseWorkers = {
  /** Workers besides the calling thread. */
  count: number;
  /**
   * The batch's part from its cases, some of them computed by `own` on the calling thread, which
   * waits for the others. Throws where a worker failed.
   */
  partOf: (
    batch: Batch & { lossFactors: ArrayLike<number> },
    parameters: Float32Array[],
    own: (place: number) => Part,
  ) => Part;
  close: () => Promise<void>;
};

const longestMs = 600_000;

/** Starts `count` workers; each tests its backend before it is ready. Rejects where one cannot. */
export async function startCaseWorkers(given: {
  count: number;
  backend: BackendName;
  shape: NetworkShape;
  patch: Size;
  parameterLengths: number[];
  task?: LabelTask;
}): Promise<CaseWorkers> {
  const { count, backend, shape, patch, parameterLengths, task } = given;
  const parameters = sharedParameters(parameterLengths.reduce((a, b) => a + b, 0));
  const size = { patch, channelCount: shape.channels };
  const memories = Array.from({ length: count }, () => createMemory(size, parameters));
  const workers = await Promise.all(
    memories.map((memory) => startWorker({ backend, shape, patch, memory, task })),
  );
  return {
    count,
    partOf: (batch, values, own) => {
      join(values, parameters);
      const parts: Part[] = [];
      const cases = batch.lossFactors.length;
      for (let first = 0; first < cases; first += count + 1) {
        const asked = memories.slice(0, cases - first - 1);
        for (const [k, memory] of asked.entries()) ask(memory, batch, first + 1 + k);
        parts.push(own(first));
        for (const memory of asked) parts.push(waitFor(memory, parameterLengths));
      }
      return sumOfParts(parts);
    },
    close: async () => {
      for (const { control } of memories) setState(control, states.ended);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function startWorker(workerData: WorkerStart): Promise<Worker> {
  const worker = new Worker(new URL('./start.mjs', import.meta.url), { workerData, execArgv: [] });
  worker.unref();
  return new Promise((resolve, reject) => {
    worker.once('message', () => resolve(worker));
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a case worker ended with code ${code}`)));
  });
}

function ask(
  memory: Memory,
  { images, labels, lossFactors }: Batch & { lossFactors: ArrayLike<number> },
  place: number,
): void {
  const { image, labels: own, numbers, control } = memory;
  image.set(images.subarray(place * image.length, (place + 1) * image.length));
  own.set(labels.subarray(place * own.length, (place + 1) * own.length));
  numbers.set([lossFactors[place], lossFactors.length]);
  setState(control, states.asked);
}

function waitFor({ control, numbers, gradients, message }: Memory, lengths: number[]): Part {
  if (Atomics.wait(control, 0, states.asked, longestMs) === 'timed-out') {
    throw new Error(`a case worker has not answered for ${longestMs / 60_000} minutes`);
  }
  const state = Atomics.load(control, 0);
  setState(control, states.idle);
  if (state === states.failed) {
    const text = new TextDecoder().decode(message.slice(0, control[1]));
    throw new Error(`a case worker failed: ${text}`);
  }
  const [, , loss, caseLoss] = numbers;
  return { loss, losses: Float32Array.of(caseLoss), gradients: split(gradients, lengths) };
}
