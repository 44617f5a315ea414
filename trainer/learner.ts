// Network, optimizer and backend behind numbers: batches and state go in and out as plain arrays,
// so that nothing outside this file and `tensorflow/` holds a tensor.

import * as tf from '@tensorflow/tfjs';
import type { Checkpoint, NamedTensors } from './checkpoint.ts';
import { createNetwork, type Network } from './network.ts';
import type { Size } from './nifti.ts';
import { createOptimizer, type Optimizer } from './optimizer.ts';
import { type StepResult, trainStep } from './step.ts';

/** Voxels of `count` patches, [count, depth, height, width, channel], and their classes. */
export type Batch = { images: Float32Array; labels: Int32Array };

type State = Pick<Checkpoint, 'parameters' | 'optimizer'>;

export type Learner = {
  backend: string;
  patch: Size;
  channelCount: number;
  classCount: number;
  parameterCount: number;
  step: (input: Batch & { lossFactors: number[]; learningRate: number }) => StepResult;
  /** What sizes of windows must be multiples of. */
  divisors: Size;
  /** Class probabilities [depth, height, width, class] of one window of any fitting size. */
  probabilities: (image: Float32Array, size: Size) => Promise<Float32Array>;
  state: () => State;
  load: (state: State) => void;
  dispose: () => void;
};

/** A fresh network on the started backend; the same seed gives the same parameters. */
export function createLearner(given: {
  backend: string;
  patch: Size;
  channelCount: number;
  classCount: number;
  features: number[];
  seed: number;
}): Learner {
  const { backend, patch, channelCount, classCount, features, seed } = given;
  const shape = { channels: channelCount, classes: classCount, features, seed };
  const network = createNetwork({ ...shape, deep: patch[0] > 1 });
  const optimizer = createOptimizer(network.parameters);
  const tensorOf = (values: Float32Array, count: number, size: Size): tf.Tensor5D =>
    tf.tensor5d(values, [count, ...size, channelCount]);
  return {
    backend,
    patch,
    channelCount,
    classCount,
    parameterCount: network.parameterCount,
    step: ({ lossFactors, learningRate, ...batch }) => {
      const images = tensorOf(batch.images, lossFactors.length, patch);
      const labels = tf.tensor4d(batch.labels, [lossFactors.length, ...patch], 'int32');
      const result = trainStep({ network, optimizer, images, labels, lossFactors, learningRate });
      tf.dispose([images, labels]);
      return result;
    },
    divisors: network.divisors,
    probabilities: async (image, size) => {
      const flat = tf.tidy(() =>
        tf.softmax(network.logits(tensorOf(image, 1, size)).reshape([-1, classCount])),
      );
      const probabilities = await flat.data<'float32'>();
      flat.dispose();
      return probabilities;
    },
    state: () => stateOf(network, optimizer),
    load: (state) => loadState(network, optimizer, state),
    dispose: network.dispose,
  };
}

function stateOf(network: Network, optimizer: Optimizer): State {
  const { steps, first, second } = optimizer.state();
  const parameters: NamedTensors = {};
  const moments: NamedTensors = { steps: { shape: [], data: Float32Array.of(steps) } };
  network.parameters.forEach(({ name, variable }, i) => {
    const { shape } = variable;
    parameters[name] = { shape, data: variable.dataSync<'float32'>().slice() };
    moments[`first/${name}`] = { shape, data: first[i].slice() };
    moments[`second/${name}`] = { shape, data: second[i].slice() };
  });
  return { parameters, optimizer: moments };
}

function loadState(network: Network, optimizer: Optimizer, state: State): void {
  for (const { name, variable } of network.parameters) {
    const { data, shape } = state.parameters[name];
    tf.tidy(() => variable.assign(tf.tensor(data, shape)));
  }
  const moments = (list: string) =>
    network.parameters.map(({ name }) => state.optimizer[`${list}/${name}`].data);
  const steps = state.optimizer.steps.data[0];
  optimizer.load({ steps, first: moments('first'), second: moments('second') });
}
