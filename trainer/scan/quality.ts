// Image quality without a reference: how noisy and how sharp a channel is, relative to its own
// range of intensities. README.md defines both numbers and the score made from them.

import type { Size } from '../nifti.ts';

export type Intensity = {
  mean: number;
  std: number;
  /** Noise deviation over intensity range. */
  noise: number;
  /** 95th percentile of the gradient over intensity range, per voxel. */
  sharpness: number;
  /** 0 (useless) to 1. */
  quality: number;
};

// Where each factor is one half.
const noiseScale = 0.1;
const sharpnessScale = 0.3;

/** Every figure of one channel; data is [z, y, x]. */
export function measureIntensity(data: Float32Array, shape: Size): Intensity {
  const { mean, std } = moments(data);
  const [low, high] = [percentileOf(data, 1), percentileOf(data, 99)];
  const range = high - low;
  if (range <= 0) return { mean, std, noise: 0, sharpness: 0, quality: 0 };
  const noise = noiseDeviation(data, shape) / range;
  const sharpness = edgeStrength(data, shape) / range;
  return { mean, std, noise, sharpness, quality: qualityScore(noise, sharpness) };
}

/** The score: falls with noise, rises with sharpness, 0 to 1. */
export function qualityScore(noise: number, sharpness: number): number {
  const clean = 1 / (1 + (noise / noiseScale) ** 2);
  const squared = sharpness ** 2;
  return (clean * squared) / (squared + sharpnessScale ** 2);
}

function moments(data: Float32Array): { mean: number; std: number } {
  let sum = 0;
  for (const value of data) sum += value;
  const mean = sum / data.length;
  let squares = 0;
  for (const value of data) squares += (value - mean) ** 2;
  return { mean, std: Math.sqrt(squares / data.length) };
}

/** A percentile by sorting; linear interpolation between order statistics. */
export function percentileOf(values: Float32Array, percent: number): number {
  if (values.length === 0) return 0;
  const sorted = values.slice().sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

// Immerkaer's operator (1996): second differences along y and x at once, which flat and sloping
// tissue does not answer to. Its answer to noise of deviation 1 has deviation 6; the median is
// robust against edges.
function noiseDeviation(data: Float32Array, [depth, height, width]: Size): number {
  const answers: number[] = [];
  for (let z = 0; z < depth; z++) {
    for (let y = 1; y < height - 1; y++) {
      const row = (z * height + y) * width;
      for (let x = 1; x < width - 1; x++) {
        answers.push(Math.abs(secondDifference(data, row + x, width)));
      }
    }
  }
  return percentileOf(Float32Array.from(answers), 50) / 0.6745 / 6;
}

function secondDifference(data: Float32Array, at: number, width: number): number {
  const line = (k: number) => data[k - 1] - 2 * data[k] + data[k + 1];
  return line(at - width) - 2 * line(at) + line(at + width);
}

function edgeStrength(data: Float32Array, shape: Size): number {
  const [depth, height, width] = shape;
  const strides = [height * width, width, 1];
  const lengths = [depth, height, width];
  const magnitudes = new Float32Array(data.length);
  for (let k = 0; k < data.length; k++) {
    const place = [Math.floor(k / strides[0]), Math.floor(k / width) % height, k % width];
    let squares = 0;
    for (let axis = 0; axis < 3; axis++) {
      if (place[axis] === 0 || place[axis] === lengths[axis] - 1) continue;
      squares += ((data[k + strides[axis]] - data[k - strides[axis]]) / 2) ** 2;
    }
    magnitudes[k] = Math.sqrt(squares);
  }
  return percentileOf(magnitudes, 95);
}
