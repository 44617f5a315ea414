// Numbers from a draw's random stream. Everything that augments a patch takes its numbers here, so
// that the same draw is the same patch, wherever and however often it is made.

import type { RandomWords } from '../../api/weights/philox.ts';

// A byte is uniform with variance (256^2 - 1) / 12.
const byteSumDeviation = Math.sqrt((256 ** 2 - 1) / 3);

/** A number from 0 up to, but not, 1. */
export const uniform = (random: RandomWords): number => random.word() / 2 ** 32;

/** A number between two others. */
export const between = (random: RandomWords, low: number, high: number): number =>
  low + (high - low) * uniform(random);

/** True with that probability. */
export const chance = (random: RandomWords, probability: number): boolean =>
  uniform(random) < probability;

/** A factor that is below 1 as often as above it, however far apart its limits are. */
export const factorBetween = (random: RandomWords, low: number, high: number): number =>
  chance(random, 0.5) ? between(random, low, 1) : between(random, 1, high);

/** Close to normal, with mean 0 and deviation 1: the sum of the four bytes of one word. */
export function normalish(random: RandomWords): number {
  const word = random.word();
  const sum = (word & 0xff) + ((word >>> 8) & 0xff) + ((word >>> 16) & 0xff) + (word >>> 24);
  return (sum - 510) / byteSumDeviation;
}
