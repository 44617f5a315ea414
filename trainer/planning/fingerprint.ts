// What planning reads of the training cases: the header of every label, and of channels scaled as
// CT the intensities of their foreground.

import type { Normalization } from '../../api/contract/plans.ts';
import { type CaseFiles, requireSameShape } from '../data.ts';
import { readGrid, readVolume } from '../nifti.ts';
import { ctNormalization, type NormalizationKind } from './normalization.ts';
import type { Fingerprint } from './plan.ts';
import type { CaseGrid } from './spacing.ts';

/** Cases whose intensities are read at most; more would not move a percentile. */
const mostCases = 250;
/** Foreground voxels taken of one case at most, evenly spread. */
const voxelsPerCase = 10_000;

/**
 * Reads the training cases; `kinds` has one entry per channel, `foreground` the label values that
 * are structures. `tell` hears of each file and may stop the run. Throws an Error naming a file
 * that cannot be read.
 */
export async function readFingerprint(given: {
  cases: CaseFiles[];
  kinds: NormalizationKind[];
  foreground: ReadonlySet<number>;
  tell?: () => Promise<void>;
}): Promise<Fingerprint> {
  const { cases, kinds, foreground, tell = async () => {} } = given;
  const grids: CaseGrid[] = [];
  for (const { label } of cases) {
    grids.push(await readGrid(label));
    await tell();
  }
  const normalization: Normalization[] = [];
  for (const [channel, kind] of kinds.entries()) {
    if (kind !== 'ct') normalization.push({ kind });
    else {
      const found: Float32Array[] = [];
      for (const one of evenly(cases, mostCases)) {
        found.push(await foregroundIntensities(one, channel, foreground));
        await tell();
      }
      normalization.push(ctNormalization(joined(found)));
    }
  }
  return { grids, normalization };
}

async function foregroundIntensities(
  { images, label }: CaseFiles,
  channel: number,
  foreground: ReadonlySet<number>,
): Promise<Float32Array> {
  const path = images[channel];
  const [image, truth] = [await readVolume(path), await readVolume(label)];
  requireSameShape(path, image.shape, label, truth.shape);
  const inside: number[] = [];
  for (let at = 0; at < truth.data.length; at++) {
    if (!foreground.has(truth.data[at])) continue;
    if (!Number.isFinite(image.data[at])) {
      throw new Error(`${path}: the image holds voxels that are not finite`);
    }
    inside.push(image.data[at]);
  }
  return Float32Array.from(evenly(inside, voxelsPerCase));
}

/** At most that many of a list, spread over it; the same ones every time. */
function evenly<Item>(list: Item[], most: number): Item[] {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, k) => list[Math.floor((k * list.length) / most)]);
}

function joined(parts: Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((count, { length }) => count + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
