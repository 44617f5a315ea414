// Made-up images of 32 x 32 pixels, depth 1, in memory: round lesions on a noisy slope. A case is a
// pure function of its seed and number.

import { philoxWords, type RandomWords } from '../../api/weights/philox.ts';

export const side = 32;

export type PlaneCase = {
  id: string;
  /** [32 * 32] with mean 0 and deviation 1. */
  image: Float32Array;
  /** 0 background, 1 common lesion, 2 rare lesion. */
  labels: Uint8Array;
  /** What rules may read. */
  attributes: Record<string, string | number>;
  /** What only the experiment knows. */
  hidden: string;
};

export type Lesion = {
  label: number;
  radius: number;
  /** Brightness of the rim and of the middle; the slope and noise are added to it. */
  rim: number;
  middle: number;
  /** Radius within which the middle's brightness holds. */
  hollow: number;
};

/** The random numbers of one case. */
export function caseStream(seed: number, number: number): RandomWords & { uniform: Uniform } {
  const words = philoxWords([seed, number]);
  const uniform: Uniform = (low, high) => low + (high - low) * (words.word() / 2 ** 32);
  return { ...words, uniform };
}

export type Uniform = (low: number, high: number) => number;

/** An image with these lesions at random places that do not overlap, as far as there is room. */
export function drawPlane(
  lesions: Lesion[],
  { uniform, noise }: { uniform: Uniform; noise: number },
): Pick<PlaneCase, 'image' | 'labels'> {
  const image = new Float32Array(side * side);
  const labels = new Uint8Array(side * side);
  const placed: { x: number; y: number; radius: number }[] = [];
  for (const lesion of lesions) {
    const { radius } = lesion;
    let place = { x: 0, y: 0, radius };
    for (let attempt = 0; attempt < 50; attempt++) {
      place = { x: uniform(radius, side - radius), y: uniform(radius, side - radius), radius };
      if (placed.every((other) => apart(place, other))) break;
    }
    placed.push(place);
    paint(image, labels, { ...lesion, ...place });
  }
  const slope = uniform(-0.3, 0.3);
  for (let k = 0; k < image.length; k++) {
    const bell = uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1);
    image[k] += slope * ((k % side) / side - 0.5) + noise * bell;
  }
  normalize(image);
  return { image, labels };
}

const apart = (
  a: { x: number; y: number; radius: number },
  b: { x: number; y: number; radius: number },
) => Math.hypot(a.x - b.x, a.y - b.y) > a.radius + b.radius + 1;

function paint(
  image: Float32Array,
  labels: Uint8Array,
  { x, y, radius, hollow, rim, middle, label }: Lesion & { x: number; y: number },
): void {
  for (let k = 0; k < image.length; k++) {
    const distance = Math.hypot((k % side) + 0.5 - x, Math.floor(k / side) + 0.5 - y);
    if (distance > radius) continue;
    image[k] = distance < hollow ? middle : rim;
    labels[k] = label;
  }
}

function normalize(image: Float32Array): void {
  const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
  const square = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / image.length;
  const deviation = Math.sqrt(square);
  for (let k = 0; k < image.length; k++) image[k] = (image[k] - mean) / deviation;
}

/** `count` numbers spread over 0 ... total-1, the same for every seed. */
export function spreadOver(total: number, count: number): Set<number> {
  return new Set(Array.from({ length: count }, (_, k) => Math.floor(((k + 0.5) * total) / count)));
}
