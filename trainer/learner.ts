// Network, optimizer and backend behind numbers: batches and state go in and out as plain arrays,
// so that nothing outside this file and `tensorflow/` holds a tensor.

import * as tf from '@tensorflow/tfjs';
import type { Checkpoint, NamedTensors } from './checkpoint.ts';
import { createNetwork, levelSizes, type Network } from './network.ts';
import type { Size } from './nifti.ts';
import { createOptimizer, type Optimizer, type OptimizerOptions } from './optimizer.ts';
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
  /** Per level; by default 3 and 2, or 1 along a depth of 1. */
  kernels?: Size[];
  strides?: Size[];
  deepSupervision?: boolean;
  optimizer?: OptimizerOptions;
  seed: number;
}): Learner {
  const { backend, patch, channelCount, classCount, features, seed, deepSupervision } = given;
  const usual = levelSizes(features.length, patch[0] > 1);
  const { kernels = usual.kernels, strides = usual.strides } = given;
  const shape = { channels: channelCount, classes: classCount, features, kernels, strides, seed };
  const network = createNetwork({ ...shape, deepSupervision });
  const optimizer = createOptimizer(network.parameters, given.optimizer);
  const tensorOf = (values: Float32Array, count: number, size: Size): tf.Tensor5D =>
    tf.tensor5d(values, [count, ...size, channelCount]);
  return {
    backend,
    patch,
    channelCount,
    classCount,
    parameterCount: network.parameterCount,
    step: ({ lossFactors, learningRate, ...batch }) => {
      optimizer.show('trained');
      const images = tensorOf(batch.images, lossFactors.length, patch);
      const labels = tf.tensor4d(batch.labels, [lossFactors.length, ...patch], 'int32');
      const result = trainStep({ network, optimizer, images, labels, lossFactors, learningRate });
      tf.dispose([images, labels]);
      return result;
    },
    divisors: network.divisors,
    probabilities: async (image, size) => {
      optimizer.show('averaged');
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
  const { steps, lists } = optimizer.state();
  const values = optimizer.values();
  const parameters: NamedTensors = {};
  const moments: NamedTensors = { steps: { shape: [], data: Float32Array.of(steps) } };
  for (const [i, { name, variable }] of network.parameters.entries()) {
    const { shape } = variable;
    parameters[name] = { shape, data: values[i].slice() };
    for (const [list, arrays] of Object.entries(lists)) {
      moments[`${list}/${name}`] = { shape, data: arrays[i].slice() };
    }
  }
  return { parameters, optimizer: moments };
}

function loadState(network: Network, optimizer: Optimizer, state: State): void {
  const names = network.parameters.map(({ name }) => name);
  const lists = Object.keys(optimizer.state().lists).map((list) => [
    list,
    names.map((name) => state.optimizer[`${list}/${name}`].data),
  ]);
  optimizer.load(
    names.map((name) => state.parameters[name].data),
    { steps: state.optimizer.steps.data[0], lists: Object.fromEntries(lists) },
  );
}
