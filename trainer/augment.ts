// Augmentation of a patch, in place: left-right flips and mild changes of intensity. Only the x
// axis is flipped: flipping another can make classes that differ by their place indistinguishable.

import type { RandomWords } from '../api/weights/philox.ts';
import type { Size } from './nifti.ts';
import type { Patch } from './patches.ts';

const uniform = (random: RandomWords) => random.word() / 2 ** 32;
const between = (random: RandomWords, low: number, high: number) =>
  low + (high - low) * uniform(random);

/** Flips (half of the time), then changes brightness, contrast and gamma and adds noise. */
export function augmentPatch(patch: Patch, size: Size, random: RandomWords): void {
  if (uniform(random) < 0.5) flipLeftRight(patch, size);
  const contrast = between(random, 0.85, 1.15);
  const brightness = between(random, -0.1, 0.1);
  const noise = uniform(random) < 0.15 ? between(random, 0, 0.1) : 0;
  const gamma = uniform(random) < 0.3 ? between(random, 0.8, 1.25) : 1;
  changeIntensity(patch.image, { contrast, brightness, noise, gamma }, random);
}

/** Mirrors image and labels along x, the last spatial axis. */
export function flipLeftRight({ image, labels }: Patch, [, , width]: Size): void {
  const channels = image.length / labels.length;
  for (let row = 0; row < labels.length; row += width) {
    labels.subarray(row, row + width).reverse();
    const voxels = image.subarray(row * channels, (row + width) * channels);
    voxels.reverse();
    // Reversing turned the channels of each voxel around too.
    if (channels > 1)
      for (let x = 0; x < width; x++) voxels.subarray(x * channels, (x + 1) * channels).reverse();
  }
}

type Change = { contrast: number; brightness: number; noise: number; gamma: number };

function changeIntensity(
  image: Float32Array,
  { contrast, brightness, noise, gamma }: Change,
  random: RandomWords,
): void {
  const [low, high] = gamma === 1 ? [0, 1] : rangeOf(image);
  const range = high - low || 1;
  for (let k = 0; k < image.length; k++) {
    const value = gamma === 1 ? image[k] : ((image[k] - low) / range) ** gamma * range + low;
    image[k] = value * contrast + brightness + (noise === 0 ? 0 : noise * normalish(random));
  }
}

function rangeOf(values: Float32Array): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// The sum of four uniform numbers, centred, with deviation 1: close to normal and cheap.
function normalish(random: RandomWords): number {
  const word = random.word();
  const sum = (word & 0xff) + ((word >>> 8) & 0xff) + ((word >>> 16) & 0xff) + (word >>> 24);
  return (sum / 255 - 2) * Math.sqrt(3);
}
