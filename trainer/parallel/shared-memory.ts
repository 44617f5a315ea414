// What a case worker and the trainer share: one case's voxels and labels in, its loss and gradients
// out, and a state both sides wait on. Parameters are shared by all workers.

import type { Size } from '../nifti.ts';

export const states = { idle: 0, asked: 1, done: 2, failed: 3, ended: 4 } as const;

/** Plain memory that can be sent to a worker as it is. */
export type Memory = {
  /** [state, length of the message] */
  control: Int32Array;
  /** [D,H,W,C] of one case. */
  image: Float32Array;
  /** [D,H,W] */
  labels: Int32Array;
  /** [loss factor, cases in the batch, its part of the batch's loss, its own loss] */
  numbers: Float64Array;
  /** Every parameter's gradient, one after the other. */
  gradients: Float32Array;
  /** UTF-8 of what went wrong. */
  message: Uint8Array;
  /** Every parameter, one after the other; the same memory for all workers. */
  parameters: Float32Array;
};

const float32 = (count: number) => new Float32Array(new SharedArrayBuffer(4 * count));

/** Room for the parameters of a network. */
export const sharedParameters = float32;

/** Memory for one worker of a network with these parameters. */
export function createMemory(
  { patch, channelCount }: { patch: Size; channelCount: number },
  parameters: Float32Array,
): Memory {
  const voxels = patch[0] * patch[1] * patch[2];
  return {
    control: new Int32Array(new SharedArrayBuffer(8)),
    image: float32(voxels * channelCount),
    labels: new Int32Array(new SharedArrayBuffer(4 * voxels)),
    numbers: new Float64Array(new SharedArrayBuffer(32)),
    gradients: float32(parameters.length),
    message: new Uint8Array(new SharedArrayBuffer(2000)),
    parameters,
  };
}

/** Writes arrays one after the other. */
export function join(arrays: Float32Array[], into: Float32Array): void {
  let at = 0;
  for (const array of arrays) {
    into.set(array, at);
    at += array.length;
  }
}

/** Copies of what `join` wrote, of these lengths. */
export function split(joined: Float32Array, lengths: number[]): Float32Array[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return joined.slice(at - length, at);
  });
}

/** Sets a state and wakes whoever waits for it. */
export function setState(control: Int32Array, state: number): void {
  Atomics.store(control, 0, state);
  Atomics.notify(control, 0);
}
