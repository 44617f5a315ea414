// A 3D U-Net. Its skip connections are two convolutions that are added instead of one over joined
// channels: the same function, without the copies that joining and its gradient would cost.

import * as tf from '@tensorflow/tfjs';
import { philoxWords } from '../api/weights/philox.ts';
import type { Size } from './nifti.ts';
import { isNative } from './tensorflow/native-norm.ts';
import { instanceNormActivation } from './tensorflow/norm.ts';
import { addBias } from './tensorflow/space.ts';

export type Parameter = { name: string; variable: tf.Variable };

export type Network = {
  /** Every trained array, in a fixed order. */
  parameters: Parameter[];
  parameterCount: number;
  /** [B,D,H,W,channels] -> [B,D,H,W,classes]; D, H, W are multiples of `divisors`. */
  logits: (image: tf.Tensor5D) => tf.Tensor5D;
  /** The logits; with deep supervision those of the coarser levels behind them, finest first. */
  outputs: (image: tf.Tensor5D) => tf.Tensor5D[];
  /** By what [depth, height, width] each of `outputs` is smaller than the image. */
  outputStrides: Size[];
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
  /** Per level [depth, height, width]: size of its convolutions. */
  kernels: Size[];
  /** Per level: the stride that leads down to it; the first is [1, 1, 1]. */
  strides: Size[];
  /** Whether the decoder's coarser levels learn to segment, too (Lee et al., 2015). */
  deepSupervision?: boolean;
};

/** Kernels of 3 and strides of 2; for images of depth 1 they leave the depth alone. */
export function levelSizes(
  levels: number,
  deep: boolean,
): Pick<NetworkShape, 'kernels' | 'strides'> {
  const kernel: Size = deep ? [3, 3, 3] : [1, 3, 3];
  const stride: Size = deep ? [2, 2, 2] : [1, 2, 2];
  return {
    kernels: Array.from({ length: levels }, () => kernel),
    strides: Array.from({ length: levels }, (_, level) => (level === 0 ? [1, 1, 1] : stride)),
  };
}

type Make = (name: string, shape: number[], fill: 'he' | number) => tf.Variable;

/** A network with parameters drawn from the seed (He et al., 2015); same seed, same parameters. */
export function createNetwork(shape: NetworkShape): Network {
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
  const outputs = layers(shape, make);
  const reductions = shape.strides.map((_, level) => product(shape.strides.slice(0, level + 1)));
  const heads = shape.deepSupervision ? Math.max(1, shape.features.length - 1) : 1;
  return {
    parameters,
    parameterCount: parameters.reduce((sum, { variable }) => sum + variable.size, 0),
    logits: (image) => outputs(image, 1)[0],
    outputs: (image) => outputs(image, heads),
    outputStrides: reductions.slice(0, heads),
    divisors: reductions[reductions.length - 1],
    dispose: () => {
      for (const { variable } of parameters) variable.dispose();
    },
  };
}

const product = (strides: Size[]): Size =>
  [0, 1, 2].map((axis) => strides.reduce((sum, stride) => sum * stride[axis], 1)) as Size;

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
  { kernel, from, to, skip }: { kernel: Size; from: number; to: number; skip?: number },
): Block {
  const filter = make(`${name}/filter`, [...kernel, from, to], 'he') as unknown as tf.Tensor5D;
  const skipFilter =
    skip === undefined ? null : make(`${name}/skipFilter`, [...kernel, skip, to], 'he');
  const scale = make(`${name}/scale`, [to], 1) as unknown as tf.Tensor1D;
  const shift = make(`${name}/shift`, [to], 0) as unknown as tf.Tensor1D;
  return (x, beside) => {
    if (skipFilter !== null && beside !== undefined && isNative()) {
      const both = tf.concat([x, beside], 4);
      const filters = tf.concat([filter, skipFilter as unknown as tf.Tensor5D], 3);
      return instanceNormActivation(tf.conv3d(both, filters, 1, 'same'), scale, shift);
    }
    const own = tf.conv3d(x, filter, 1, 'same');
    if (skipFilter === null || beside === undefined)
      return instanceNormActivation(own, scale, shift);
    const other = tf.conv3d(beside, skipFilter as unknown as tf.Tensor5D, 1, 'same');
    return instanceNormActivation(tf.add(own, other), scale, shift);
  };
}

type Outputs = (image: tf.Tensor5D, heads: number) => tf.Tensor5D[];

function layers(shape: NetworkShape, make: Make): Outputs {
  const { channels, features, kernels, strides } = shape;
  const filterOf = (name: string, size: number[]) => make(name, size, 'he') as unknown as Filter;
  const encoder = features.map((to, level) => {
    const from = level === 0 ? channels : to;
    const kernel = kernels[level];
    const size = level === 0 ? [] : [...strides[level], features[level - 1], to];
    return {
      down: level === 0 ? null : filterOf(`down${level}`, size),
      first: block(make, `encoder${level}/first`, { kernel, from, to }),
      second: block(make, `encoder${level}/second`, { kernel, from: to, to }),
    };
  });
  const decoder = features.slice(0, -1).map((to, level) => ({
    up: filterOf(`up${level}`, [...strides[level + 1], to, features[level + 1]]),
    first: block(make, `decoder${level}/first`, { kernel: kernels[level], from: to, to, skip: to }),
    second: block(make, `decoder${level}/second`, { kernel: kernels[level], from: to, to }),
  }));
  const heads = headsOf(shape, make);
  return (image, count) => {
    const skips: tf.Tensor5D[] = [];
    let x = image;
    for (const [level, { down, first, second }] of encoder.entries()) {
      if (down !== null) x = tf.conv3d(x, down, strides[level], 'same');
      x = second(first(x));
      skips.push(x);
    }
    const found = [x];
    for (let level = decoder.length - 1; level >= 0; level--) {
      const { up, first, second } = decoder[level];
      x = tf.conv3dTranspose(x, up, skips[level].shape, strides[level + 1], 'same');
      x = second(first(x, skips[level]));
      found[level] = x;
    }
    return heads.slice(0, count).map((head, level) => head(found[level]));
  };
}

type Filter = tf.Tensor5D;

// One 1x1x1 convolution per level that segments.
function headsOf(
  { features, classes, deepSupervision }: NetworkShape,
  make: Make,
): ((x: tf.Tensor5D) => tf.Tensor5D)[] {
  const levels = deepSupervision ? Math.max(1, features.length - 1) : 1;
  return Array.from({ length: levels }, (_, level) => {
    const name = level === 0 ? 'logits' : `logits${level}`;
    const filter = make(`${name}/filter`, [1, 1, 1, features[level], classes], 'he');
    const bias = make(`${name}/bias`, [classes], 0) as unknown as tf.Tensor1D;
    return (x) => addBias(tf.conv3d(x, filter as unknown as Filter, 1, 'same'), bias);
  });
}
