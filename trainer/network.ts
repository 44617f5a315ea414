// A 3D U-Net. Its skip connections are two convolutions that are added instead of one over joined
// channels: the same function, without the copies that joining and its gradient would cost.

import * as tf from '@tensorflow/tfjs';
import { philoxWords } from '../api/weights/philox.ts';
import { instanceNormActivation } from './tensorflow/norm.ts';
import { addBias } from './tensorflow/space.ts';

export type Parameter = { name: string; variable: tf.Variable };

export type Network = {
  /** Every trained array, in a fixed order. */
  parameters: Parameter[];
  parameterCount: number;
  /** [B,D,H,W,channels] -> [B,D,H,W,classes]; D, H, W are multiples of `divisors`. */
  logits: (image: tf.Tensor5D) => tf.Tensor5D;
  divisors: [number, number, number];
  dispose: () => void;
};

export type NetworkShape = {
  channels: number;
  /** Background included. */
  classes: number;
  /** Feature channels per level, the finest first. */
  features: number[];
  seed: number;
  /** False for images of depth 1: kernels and strides then leave the depth alone. */
  deep: boolean;
};

type Triple = [number, number, number];
type Make = (name: string, shape: number[], fill: 'he' | number) => tf.Variable;

/** A network with parameters drawn from the seed (He et al., 2015); same seed, same parameters. */
export function createNetwork(shape: NetworkShape): Network {
  const { features, deep } = shape;
  const parameters: Parameter[] = [];
  const random = normals(shape.seed);
  const make: Make = (name, size, fill) => {
    const count = size.reduce((a, b) => a * b, 1);
    const deviation = Math.sqrt(2 / size.slice(0, -1).reduce((a, b) => a * b, 1));
    const values = Float32Array.from({ length: count }, () =>
      fill === 'he' ? random() * deviation : fill,
    );
    const variable = tf.tidy(() => tf.variable(tf.tensor(values, size), true));
    parameters.push({ name, variable });
    return variable;
  };
  const logits = layers(shape, make);
  const step = 2 ** (features.length - 1);
  return {
    parameters,
    parameterCount: parameters.reduce((sum, { variable }) => sum + variable.size, 0),
    logits,
    divisors: [deep ? step : 1, step, step],
    dispose: () => {
      for (const { variable } of parameters) variable.dispose();
    },
  };
}

// Standard normal numbers by Box and Muller from a Philox stream.
function normals(seed: number): () => number {
  const { word } = philoxWords([seed >>> 0, 0x6e657477]);
  return () => {
    const radius = Math.sqrt(-2 * Math.log((word() + 1) / 2 ** 32));
    return radius * Math.cos((2 * Math.PI * word()) / 2 ** 32);
  };
}

type Block = (x: tf.Tensor5D, skip?: tf.Tensor5D) => tf.Tensor5D;

// Convolution (of the input, and of a skip where there is one), instance norm, leaky activation. A
// bias would be taken out again by the norm.
function block(
  make: Make,
  name: string,
  { kernel, from, to, skip }: { kernel: Triple; from: number; to: number; skip?: number },
): Block {
  const filter = make(`${name}/filter`, [...kernel, from, to], 'he') as unknown as tf.Tensor5D;
  const skipFilter =
    skip === undefined ? null : make(`${name}/skipFilter`, [...kernel, skip, to], 'he');
  const scale = make(`${name}/scale`, [to], 1) as unknown as tf.Tensor1D;
  const shift = make(`${name}/shift`, [to], 0) as unknown as tf.Tensor1D;
  return (x, beside) => {
    const own = tf.conv3d(x, filter, 1, 'same');
    if (skipFilter === null || beside === undefined)
      return instanceNormActivation(own, scale, shift);
    const other = tf.conv3d(beside, skipFilter as unknown as tf.Tensor5D, 1, 'same');
    return instanceNormActivation(tf.add(own, other), scale, shift);
  };
}

function layers(
  { channels, classes, features, deep }: NetworkShape,
  make: Make,
): Network['logits'] {
  const kernel: Triple = deep ? [3, 3, 3] : [1, 3, 3];
  const two: Triple = deep ? [2, 2, 2] : [1, 2, 2];
  const encoder = features.map((to, level) => {
    const from = level === 0 ? channels : to;
    return {
      down: level === 0 ? null : make(`down${level}`, [...two, features[level - 1], to], 'he'),
      first: block(make, `encoder${level}/first`, { kernel, from, to }),
      second: block(make, `encoder${level}/second`, { kernel, from: to, to }),
    };
  });
  const decoder = features.slice(0, -1).map((to, level) => ({
    up: make(`up${level}`, [...two, to, features[level + 1]], 'he'),
    first: block(make, `decoder${level}/first`, { kernel, from: to, to, skip: to }),
    second: block(make, `decoder${level}/second`, { kernel, from: to, to }),
  }));
  const last = make(
    'logits/filter',
    [1, 1, 1, features[0], classes],
    'he',
  ) as unknown as tf.Tensor5D;
  const bias = make('logits/bias', [classes], 0) as unknown as tf.Tensor1D;
  return (image) => {
    const skips: tf.Tensor5D[] = [];
    let x = image;
    for (const { down, first, second } of encoder) {
      if (down !== null) x = tf.conv3d(x, down as unknown as tf.Tensor5D, two, 'same');
      x = second(first(x));
      skips.push(x);
    }
    for (let level = decoder.length - 1; level >= 0; level--) {
      const { up, first, second } = decoder[level];
      const shape = skips[level].shape;
      x = tf.conv3dTranspose(x, up as unknown as tf.Tensor5D, shape, two, 'same');
      x = second(first(x, skips[level]));
    }
    return addBias(tf.conv3d(x, last, 1, 'same'), bias);
  };
}
