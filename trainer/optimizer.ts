// Adam for short runs and momentum for long ones, with their state in plain arrays: a checkpoint
// holds them exactly, and a resumed run gives the same numbers. Clipping is reported, never hidden.

import * as tf from '@tensorflow/tfjs';
import type { Parameter } from './network.ts';

const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-8;
const momentum = 0.99;
const decay = 3e-5;

/** METHOD.md section 7: the norm above which a step's gradient is scaled down. */
export const clipNorm = 12;

export type OptimizerKind = 'adam' | 'sgd';

export type OptimizerOptions = {
  kind: OptimizerKind;
  /** Decay of the moving average of the parameters, 0 for none (Polyak and Juditsky, 1992). */
  averaging: number;
};

/** Lists by name, each with one array per parameter in order: moments, and averages if kept. */
export type OptimizerState = { steps: number; lists: Record<string, Float32Array[]> };

export type Optimizer = {
  /** Moves the parameters by gradients in their order; answers the norm before clipping. */
  apply: (
    gradients: Float32Array[],
    learningRate: number,
  ) => { gradientNorm: number; clipped: boolean };
  /** Puts the averaged parameters into the variables, or the trained ones back. */
  show: (which: 'trained' | 'averaged') => void;
  /** The trained parameters in use: whoever keeps them copies them. */
  values: () => Float32Array[];
  /** The arrays in use: whoever keeps them copies them. */
  state: () => OptimizerState;
  /** Continues from copies of trained parameters and state. */
  load: (values: Float32Array[], state: OptimizerState) => void;
};

/** The Euclidean norm over all gradients together. */
export function globalNorm(gradients: Float32Array[]): number {
  let sum = 0;
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i++) sum += gradient[i] * gradient[i];
  }
  return Math.sqrt(sum);
}

const copies = (arrays: Float32Array[]) => arrays.map((array) => array.slice());

/**
 * An optimizer of these parameters: Adam (Kingma and Ba, 2015), or stochastic gradient descent with
 * Nesterov momentum 0.99 and weight decay 3e-5, as nnU-Net trains.
 */
export function createOptimizer(
  parameters: Parameter[],
  { kind, averaging }: OptimizerOptions = { kind: 'adam', averaging: 0 },
): Optimizer {
  let values = parameters.map(({ variable }) => variable.dataSync<'float32'>().slice());
  const zeros = () => values.map(({ length }) => new Float32Array(length));
  const lists: OptimizerState['lists'] =
    kind === 'adam' ? { first: zeros(), second: zeros() } : { momentum: zeros() };
  if (averaging > 0) lists.average = copies(values);
  let state: OptimizerState = { steps: 0, lists };
  let shown: 'trained' | 'averaged' = 'trained';
  const assign = (arrays: Float32Array[]) => {
    for (const [k, { variable }] of parameters.entries()) {
      // A tensor on some backends keeps the very array it is made of.
      tf.tidy(() => variable.assign(tf.tensor(arrays[k].slice(), variable.shape)));
    }
  };
  return {
    apply: (gradients, learningRate) => {
      const gradientNorm = globalNorm(gradients);
      const clipped = gradientNorm > clipNorm;
      const scale = clipped ? clipNorm / gradientNorm : 1;
      state.steps++;
      move(kind, { values, gradients, state, scale, learningRate });
      if (averaging > 0) average(state, values, averaging);
      assign(values);
      shown = 'trained';
      return { gradientNorm, clipped };
    },
    show: (which) => {
      if (which === shown || averaging === 0) return;
      assign(which === 'averaged' ? state.lists.average : values);
      shown = which;
    },
    values: () => values,
    state: () => state,
    load: (trained, saved) => {
      const kept = Object.entries(saved.lists).map(([name, arrays]) => [name, copies(arrays)]);
      state = { steps: saved.steps, lists: Object.fromEntries(kept) };
      values = copies(trained);
      assign(values);
      shown = 'trained';
    },
  };
}

type Move = {
  values: Float32Array[];
  gradients: Float32Array[];
  state: OptimizerState;
  scale: number;
  learningRate: number;
};

function move(kind: OptimizerKind, { values, gradients, state, scale, learningRate }: Move): void {
  const { steps, lists } = state;
  const rate = (learningRate * Math.sqrt(1 - beta2 ** steps)) / (1 - beta1 ** steps);
  for (const [k, own] of values.entries()) {
    if (kind === 'adam') {
      const moments = { first: lists.first[k], second: lists.second[k] };
      moveByAdam(own, gradients[k], moments, { rate, scale });
    } else moveByMomentum(own, gradients[k], lists.momentum[k], { rate: learningRate, scale });
  }
}

function moveByAdam(
  values: Float32Array,
  gradient: Float32Array,
  { first, second }: { first: Float32Array; second: Float32Array },
  { rate, scale }: { rate: number; scale: number },
): void {
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i] * scale;
    first[i] = beta1 * first[i] + (1 - beta1) * g;
    second[i] = beta2 * second[i] + (1 - beta2) * g * g;
    values[i] -= (rate * first[i]) / (Math.sqrt(second[i]) + epsilon);
  }
}

function moveByMomentum(
  values: Float32Array,
  gradient: Float32Array,
  speed: Float32Array,
  { rate, scale }: { rate: number; scale: number },
): void {
  for (let i = 0; i < values.length; i++) {
    const g = gradient[i] * scale + decay * values[i];
    speed[i] = momentum * speed[i] + g;
    values[i] -= rate * (g + momentum * speed[i]);
  }
}

// Early averages forget faster, so that they never lag behind a young run.
function average({ steps, lists }: OptimizerState, values: Float32Array[], averaging: number) {
  const keep = Math.min(averaging, (1 + steps) / (10 + steps));
  for (const [k, own] of values.entries()) {
    const mean = lists.average[k];
    for (let i = 0; i < own.length; i++) mean[i] = keep * mean[i] + (1 - keep) * own[i];
  }
}

/** The learning rate after a share of the run (0 to 1): initial (1 - share)^0.9. */
export function polyDecay(initial: number, done: number, whole: number): number {
  return initial * (1 - done / whole) ** 0.9;
}
