// Network, optimizer and backend behind numbers: batches and state go in and out as plain arrays,
// so that nothing outside this file and `tensorflow/` holds a tensor.

import * as tf from '@tensorflow/tfjs';
import type { Checkpoint, NamedTensors } from './checkpoint.ts';
import type { LabelTask } from './labels.ts';
import { createNetwork, levelSizes, type Network, type NetworkShape } from './network.ts';
import type { Size } from './nifti.ts';
import { createOptimizer, type Optimizer, type OptimizerOptions } from './optimizer.ts';
import { type CaseWorkers, startCaseWorkers } from './parallel/case-workers.ts';
import {
  applyPart,
  type Batch,
  caseByCase,
  lossAndGradients,
  type Part,
  type StepResult,
} from './step.ts';
import type { BackendName } from './tensorflow/backend.ts';

type State = Pick<Checkpoint, 'parameters' | 'optimizer'>;

export type Learner = {
  backend: BackendName;
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

export type LearnerOptions = {
  backend: BackendName;
  patch: Size;
  channelCount: number;
  classCount: number;
  features: number[];
  /** Per level; by default 3 and 2, or 1 along a depth of 1. */
  kernels?: Size[];
  strides?: Size[];
  deepSupervision?: boolean;
  optimizer?: OptimizerOptions;
  /** What the outputs mean; plain classes without it. */
  task?: LabelTask;
  seed: number;
};

function networkShape(options: LearnerOptions): NetworkShape {
  const { patch, channelCount, classCount, features, seed, deepSupervision } = options;
  const usual = levelSizes(features.length, patch[0] > 1);
  const { kernels = usual.kernels, strides = usual.strides } = options;
  const levels = { features, kernels, strides, deepSupervision };
  return { channels: channelCount, classes: classCount, ...levels, seed };
}

/**
 * A learner that computes the cases of a batch on several cores where its backend has one thread
 * and the cases are large enough; `cores` is how many there are.
 */
export async function openLearner(
  options: LearnerOptions & { batchSize: number; cores: number },
): Promise<Learner> {
  const { backend, patch, batchSize, cores, task } = options;
  const count = Math.min(batchSize, cores) - 1;
  const useful = backend !== 'native' && count > 0 && caseByCase(patch[0] * patch[1] * patch[2]);
  if (!useful) return createLearner(options);
  const shape = networkShape(options);
  const network = createNetwork(shape);
  const parameterLengths = network.parameters.map(({ variable }) => variable.size);
  network.dispose();
  const workers = await startCaseWorkers({ count, backend, shape, patch, parameterLengths, task });
  return createLearner(options, workers);
}

/** A fresh network on the started backend; the same seed gives the same parameters. */
export function createLearner(options: LearnerOptions, workers?: CaseWorkers): Learner {
  const { backend, patch, channelCount, classCount, task } = options;
  const network = createNetwork(networkShape(options));
  const optimizer = createOptimizer(network.parameters, options.optimizer);
  const inRange = task?.regions ? tf.sigmoid : tf.softmax;
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
      const own = { network, patch, channelCount, task };
      const count = lossFactors.length;
      const part =
        workers === undefined
          ? partOfCases(own, batch, { from: 0, lossFactors, count })
          : workers.partOf({ ...batch, lossFactors }, optimizer.values(), (from) =>
              partOfCases(own, batch, { from, lossFactors: [lossFactors[from]], count }),
            );
      return applyPart(optimizer, part, learningRate);
    },
    divisors: network.divisors,
    probabilities: async (image, size) => {
      optimizer.show('averaged');
      const flat = tf.tidy(() =>
        inRange(network.logits(tensorOf(image, 1, size)).reshape([-1, classCount])),
      );
      const probabilities = await flat.data<'float32'>();
      flat.dispose();
      return probabilities;
    },
    state: () => stateOf(network, optimizer),
    load: (state) => loadState(network, optimizer, state),
    dispose: () => {
      network.dispose();
      workers?.close();
    },
  };
}

type Computing = {
  network: Network;
  patch: Size;
  channelCount: number;
  task: LabelTask | undefined;
};

// The part of some cases of a batch, from case `from` on.
function partOfCases(
  { network, patch, channelCount, task }: Computing,
  batch: Batch,
  { from, lossFactors, count }: { from: number; lossFactors: number[]; count: number },
): Part {
  const voxels = patch[0] * patch[1] * patch[2];
  const [start, end] = [from * voxels, (from + lossFactors.length) * voxels];
  const voxelsOf = batch.images.subarray(start * channelCount, end * channelCount);
  const images = tf.tensor5d(voxelsOf, [lossFactors.length, ...patch, channelCount]);
  const classes = batch.labels.subarray(start, end);
  const labels = tf.tensor4d(classes, [lossFactors.length, ...patch], 'int32');
  const part = lossAndGradients({ network, images, labels, lossFactors, count, task });
  tf.dispose([images, labels]);
  return part;
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
