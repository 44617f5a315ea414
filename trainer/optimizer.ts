// Adam (Kingma and Ba, 2015) with its state in plain arrays: a checkpoint holds them exactly, and a
// resumed run gives the same numbers. Clipping by the global norm is reported, never hidden.

import * as tf from '@tensorflow/tfjs';
import type { Parameter } from './network.ts';

const beta1 = 0.9;
const beta2 = 0.999;
const epsilon = 1e-8;

/** METHOD.md section 7: the norm above which a step's gradient is scaled down. */
export const clipNorm = 12;

export type OptimizerState = { steps: number; first: Float32Array[]; second: Float32Array[] };

export type Optimizer = {
  /** Moves the parameters by gradients in their order; answers the norm before clipping. */
  apply: (
    gradients: Float32Array[],
    learningRate: number,
  ) => { gradientNorm: number; clipped: boolean };
  /** The arrays in use: whoever keeps them copies them. */
  state: () => OptimizerState;
  /** Continues from a copy of the state. */
  load: (state: OptimizerState) => void;
};

/** The Euclidean norm over all gradients together. */
export function globalNorm(gradients: Float32Array[]): number {
  let sum = 0;
  for (const gradient of gradients) for (const value of gradient) sum += value * value;
  return Math.sqrt(sum);
}

export function createOptimizer(parameters: Parameter[]): Optimizer {
  const zeros = () => parameters.map(({ variable }) => new Float32Array(variable.size));
  let state: OptimizerState = { steps: 0, first: zeros(), second: zeros() };
  return {
    apply: (gradients, learningRate) => {
      const gradientNorm = globalNorm(gradients);
      const clipped = gradientNorm > clipNorm;
      const scale = clipped ? clipNorm / gradientNorm : 1;
      state.steps++;
      const rate =
        (learningRate * Math.sqrt(1 - beta2 ** state.steps)) / (1 - beta1 ** state.steps);
      for (const [k, { variable }] of parameters.entries()) {
        const values = variable.dataSync<'float32'>().slice();
        const moments = { first: state.first[k], second: state.second[k] };
        moveValues(values, gradients[k], moments, { rate, scale });
        tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
      }
      return { gradientNorm, clipped };
    },
    state: () => state,
    load: (saved) => {
      state = {
        steps: saved.steps,
        first: saved.first.map((values) => values.slice()),
        second: saved.second.map((values) => values.slice()),
      };
    },
  };
}

function moveValues(
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

/** The learning rate after `step` of `steps`: initial (1 - step/steps)^0.9. */
export function polyDecay(initial: number, step: number, steps: number): number {
  return initial * (1 - step / steps) ** 0.9;
}
