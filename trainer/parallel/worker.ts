// A case worker: the same network on a backend of its own. It sleeps until a case is in the shared
// memory, computes its gradients, and sleeps again.

import { parentPort, workerData } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs';
import type { LabelTask } from '../labels.ts';
import { createNetwork, type NetworkShape } from '../network.ts';
import type { Size } from '../nifti.ts';
import { lossAndGradients } from '../step.ts';
import { type BackendName, chooseBackend } from '../tensorflow/backend.ts';
import { join, type Memory, setState, split, states } from './shared-memory.ts';

/** What a worker is started with. */
export type WorkerStart = {
  backend: BackendName;
  shape: NetworkShape;
  patch: Size;
  memory: Memory;
  task: LabelTask | undefined;
};

const { backend, shape, patch, memory, task } = workerData as WorkerStart;
await chooseBackend({ wanted: backend, log: () => {} });
const network = createNetwork(shape);
const lengths = network.parameters.map(({ variable }) => variable.size);
parentPort?.postMessage('ready');
const { control } = memory;
for (;;) {
  Atomics.wait(control, 0, states.idle);
  const state = Atomics.load(control, 0);
  if (state === states.ended) break;
  if (state !== states.asked) {
    Atomics.wait(control, 0, state);
    continue;
  }
  try {
    answer();
    setState(control, states.done);
  } catch (error) {
    const text = new TextEncoder().encode(String((error as Error).message));
    memory.message.set(text.subarray(0, memory.message.length));
    control[1] = Math.min(text.length, memory.message.length);
    setState(control, states.failed);
  }
}

function answer(): void {
  for (const [k, values] of split(memory.parameters, lengths).entries()) {
    const { variable } = network.parameters[k];
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
  }
  const [factor, count] = memory.numbers;
  const images = tf.tensor5d(memory.image.slice(), [1, ...patch, shape.channels]);
  const labels = tf.tensor4d(memory.labels.slice(), [1, ...patch], 'int32');
  const given = { network, images, labels, lossFactors: [factor], count, task };
  const { loss, losses, gradients } = lossAndGradients(given);
  tf.dispose([images, labels]);
  memory.numbers.set([loss, losses[0]], 2);
  join(gradients, memory.gradients);
}
