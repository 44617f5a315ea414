// How the channels of a case are brought to a common scale: by their kind, as in nnU-Net. Numbers
// of a `ct` channel come from the foreground of the training cases, never from the case alone.

import type { Normalization } from '../../api/contract/plans.ts';
import { quantile } from './spacing.ts';

export type NormalizationKind = Normalization['kind'];

/** The kind of each channel by its name: `CT`, `noNorm`, or else z-scores. */
export function normalizationKinds(channels: string[]): NormalizationKind[] {
  return channels.map((name) => {
    if (name.toLowerCase() === 'ct') return 'ct';
    return name.toLowerCase() === 'nonorm' ? 'none' : 'zScore';
  });
}

/** The scale of a CT channel from intensities of foreground voxels; throws where there are none. */
export function ctNormalization(intensities: Float32Array): Normalization {
  if (intensities.length === 0) {
    throw new Error('the training cases have no foreground, from which a ct channel is scaled');
  }
  const mean = intensities.reduce((sum, value) => sum + value, 0) / intensities.length;
  const squares = intensities.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    kind: 'ct',
    low: quantile(intensities, 0.005),
    high: quantile(intensities, 0.995),
    mean,
    deviation: Math.max(Math.sqrt(squares / intensities.length), 1e-8),
  };
}

/**
 * Writes one channel of a case, normalized, into `image` [voxel, channel]. Throws an Error naming
 * the file where a voxel is not finite.
 */
export function writeNormalized(
  image: Float32Array,
  data: Float32Array,
  given: { channel: number; channels: number; path: string; normalization: Normalization },
): void {
  const { channel, channels, path, normalization } = given;
  const own = momentsOf(data);
  if (!Number.isFinite(own.mean)) {
    throw new Error(`${path}: the image holds voxels that are not finite`);
  }
  const { low, high, mean, deviation } = scaleOf(normalization, own);
  for (let k = 0; k < data.length; k++) {
    const value = Math.min(Math.max(data[k], low), high);
    image[k * channels + channel] = (value - mean) / deviation;
  }
}

type Moments = { mean: number; deviation: number };

function momentsOf(data: Float32Array): Moments {
  let sum = 0;
  let squares = 0;
  for (const value of data) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / data.length;
  return { mean, deviation: Math.sqrt(Math.max(squares / data.length - mean * mean, 0)) || 1 };
}

function scaleOf(normalization: Normalization, own: Moments) {
  if (normalization.kind === 'ct') return normalization;
  const unbounded = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  if (normalization.kind === 'none') return { ...unbounded, mean: 0, deviation: 1 };
  return { ...unbounded, ...own };
}
