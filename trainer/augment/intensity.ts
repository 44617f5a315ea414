// Changes of intensity, in place: mild ones, and the full chain of nnU-Net's default (Isensee et
// al. 2021, supplement 4), with its order, probabilities and ranges. Labels are not touched.

import type { RandomWords } from '../../api/weights/philox.ts';
import type { Size } from '../nifti.ts';
import { between, chance, factorBetween, normalish } from './chance.ts';
import { blur, type Channel, lowerResolution } from './filters.ts';

type Voxels = { image: Float32Array; size: Size; channels: number };

/** Contrast, brightness, at times gamma and noise, all of them slight and alike in all channels. */
export function changeMildly(image: Float32Array, random: RandomWords): void {
  const contrast = between(random, 0.85, 1.15);
  const brightness = between(random, -0.1, 0.1);
  const noise = chance(random, 0.15) ? between(random, 0, 0.1) : 0;
  const gamma = chance(random, 0.3) ? between(random, 0.8, 1.25) : 1;
  const { low, high } = gamma === 1 ? { low: 0, high: 1 } : statisticsOf(image, 1, 0);
  const range = high - low || 1;
  for (let k = 0; k < image.length; k++) {
    const value = gamma === 1 ? image[k] : ((image[k] - low) / range) ** gamma * range + low;
    image[k] = value * contrast + brightness + (noise === 0 ? 0 : noise * normalish(random));
  }
}

/**
 * Noise, blur, brightness, contrast, low resolution and gamma, each with its own probability. Blur
 * and resolution act in the axes of `flat` slices only.
 */
export function changeFully(voxels: Voxels, random: RandomWords, flat: boolean): void {
  const axes = flat ? [1, 2] : [0, 1, 2];
  const channels = Array.from({ length: voxels.channels }, (_, channel) => ({
    ...voxels,
    channel,
  }));
  if (chance(random, 0.1)) addNoise(voxels.image, between(random, 0, 0.1), random);
  if (chance(random, 0.2)) {
    for (const one of channels) if (chance(random, 0.5)) blur(one, between(random, 0.5, 1), axes);
  }
  if (chance(random, 0.15)) {
    for (const one of channels) multiply(one, between(random, 0.75, 1.25));
  }
  if (chance(random, 0.15)) {
    for (const one of channels) changeContrast(one, between(random, 0.75, 1.25));
  }
  if (chance(random, 0.25)) {
    for (const one of channels)
      if (chance(random, 0.5)) lowerResolution(one, between(random, 0.5, 1), axes);
  }
  for (const [probability, inverted] of [
    [0.1, true],
    [0.3, false],
  ] as const) {
    if (!chance(random, probability)) continue;
    for (const one of channels) changeGamma(one, factorBetween(random, 0.7, 1.5), inverted);
  }
}

function addNoise(image: Float32Array, deviation: number, random: RandomWords): void {
  for (let k = 0; k < image.length; k++) image[k] += deviation * normalish(random);
}

function multiply({ image, channels, channel }: Channel, factor: number): void {
  for (let k = channel; k < image.length; k += channels) image[k] *= factor;
}

/** Stretches a channel around its mean, and no further than it reached before. */
export function changeContrast({ image, channels, channel }: Channel, factor: number): void {
  const { mean, low, high } = statisticsOf(image, channels, channel);
  for (let k = channel; k < image.length; k += channels)
    image[k] = Math.min(Math.max((image[k] - mean) * factor + mean, low), high);
}

/**
 * Raises a channel, scaled to 0 ... 1, to a power, or its negative if `inverted`, and gives it back
 * its mean and deviation.
 */
export function changeGamma(of: Channel, gamma: number, inverted: boolean): void {
  const { image, channels, channel } = of;
  const before = statisticsOf(image, channels, channel);
  const range = before.high - before.low;
  if (range === 0) return;
  for (let k = channel; k < image.length; k += channels) {
    const part = Math.min(Math.max((image[k] - before.low) / range, 0), 1);
    image[k] = inverted ? 1 - (1 - part) ** gamma : part ** gamma;
  }
  const after = statisticsOf(image, channels, channel);
  const stretch = before.deviation / after.deviation;
  for (let k = channel; k < image.length; k += channels)
    image[k] = (image[k] - after.mean) * stretch + before.mean;
}

/** Smallest, largest, mean and deviation of a channel. */
export function statisticsOf(image: Float32Array, channels: number, channel: number) {
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  for (let k = channel; k < image.length; k += channels) {
    const value = image[k];
    if (value < low) low = value;
    if (value > high) high = value;
    sum += value;
  }
  const count = image.length / channels;
  const mean = sum / count;
  let squares = 0;
  for (let k = channel; k < image.length; k += channels) squares += (image[k] - mean) ** 2;
  return { low, high, mean, deviation: Math.sqrt(squares / count) };
}
