// A case as the trainer needs it: channels on a common scale, labels, and where each class lies; on
// the plan's grid where that is another than its own.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Normalization } from '../api/contract/plans.ts';
import { readVolume, type Size, type Volume } from './nifti.ts';
import { writeNormalized } from './planning/normalization.ts';
import {
  ordersBetween,
  resampleArray,
  resampledShape,
  resampleLabels,
} from './resampling/resample.ts';

export type LoadedCase = {
  id: string;
  /** [Z,Y,X,C], normalized, on the plan's grid. */
  image: Float32Array;
  channels: number;
  /** [Z,Y,X] */
  labels: Uint8Array;
  shape: Size;
  spacing: Size;
  /** Class value to its voxels per slice z; foreground classes that are present only. */
  foreground: Map<number, Uint32Array>;
  /** The labels on the case's own grid, or null where that is the plan's. */
  own: { labels: Uint8Array; shape: Size; spacing: Size } | null;
};

/** Where a case lies on this machine. */
export type CaseFiles = {
  id: string;
  /** One file per channel, in channel order. */
  images: string[];
  label: string;
};

/** How all cases of a job are read; plain data, for it also goes to the worker. */
export type LoadSettings = {
  /** Values that the label image may hold. */
  values: ReadonlySet<number>;
  /** The value of voxels that nobody labelled: no foreground. */
  ignore?: number | null;
  /** Spacing to resample to; left out, every case keeps its own. */
  spacing?: Size;
  /** One entry per channel; left out, all get z-scores. */
  normalization?: Normalization[];
};

/** Reads a case. Throws an Error that names the file and what is wrong with it. */
export async function loadCase(given: CaseFiles & LoadSettings): Promise<LoadedCase> {
  const { id, images, label, values } = given;
  const [truth, ...volumes] = await Promise.all([label, ...images].map(readVolume));
  const channels = volumes.length;
  const image = new Float32Array(truth.data.length * channels);
  for (const [channel, { data, shape }] of volumes.entries()) {
    const path = images[channel];
    requireSameShape(path, shape, label, truth.shape);
    const normalization = given.normalization?.[channel] ?? { kind: 'zScore' };
    writeNormalized(image, data, { channel, channels, path, normalization });
  }
  const { shape, spacing } = truth;
  const labels = labelArray(truth, label, values);
  const { ignore = null } = given;
  return onGrid({ id, image, channels, labels, shape, spacing }, given.spacing ?? spacing, ignore);
}

type PlainCase = Omit<LoadedCase, 'foreground' | 'own'>;

/** The case at the target spacing; the very arrays where its number of voxels stays the same. */
function onGrid(plain: PlainCase, target: Size, ignore: number | null): LoadedCase {
  const { image, channels, labels, shape, spacing } = plain;
  const newShape = resampledShape(shape, spacing, target);
  if (newShape.every((length, axis) => length === shape[axis])) {
    return { ...plain, foreground: foregroundOf(labels, shape, ignore), own: null };
  }
  const orders = ordersBetween(spacing, target, 3);
  const resampled = resampleLabels(labels, shape, newShape, orders);
  return {
    ...plain,
    image: resampleArray(image, { shape, channels }, newShape, orders),
    labels: resampled,
    shape: newShape,
    spacing: target,
    foreground: foregroundOf(resampled, newShape, ignore),
    own: { labels, shape, spacing },
  };
}

/** Throws where an image and its label differ in shape. */
export function requireSameShape(image: string, is: Size, label: string, wanted: Size): void {
  if (is.every((length, axis) => length === wanted[axis])) return;
  const shown = (size: Size) => [...size].reverse().join(' x ');
  throw new Error(
    `${label}: the label has ${shown(wanted)} voxels, but ${basename(image)} has ${shown(is)}`,
  );
}

/** The labels as bytes; throws naming a value that dataset.json does not list. */
export function labelArray(
  { data }: Volume,
  path: string,
  values: ReadonlySet<number>,
): Uint8Array {
  const labels = new Uint8Array(data.length);
  for (let k = 0; k < data.length; k++) {
    if (!values.has(data[k])) {
      const known = [...values].sort((a, b) => a - b).join(', ');
      throw new Error(
        `${path}: label value ${data[k]} is not in dataset.json (which lists ${known})`,
      );
    }
    labels[k] = data[k];
  }
  return labels;
}

function foregroundOf(
  labels: Uint8Array,
  [depth, height, width]: Size,
  ignore: number | null,
): Map<number, Uint32Array> {
  const counts = new Uint32Array(256 * depth);
  for (let z = 0, k = 0; z < depth; z++)
    for (const end = k + height * width; k < end; k++) counts[labels[k] * depth + z]++;
  const found = new Map<number, Uint32Array>();
  for (let value = 1; value < 256; value++) {
    if (value === ignore) continue;
    const own = counts.slice(value * depth, (value + 1) * depth);
    if (own.some((count) => count > 0)) found.set(value, own);
  }
  return found;
}

/** SHA-256 of a file as bare hex, read in pieces. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Keeps loaded cases up to a number of bytes; the one used longest ago goes first. */
export function caseCache(load: (id: string) => Promise<LoadedCase>, maxBytes: number) {
  const kept = new Map<string, LoadedCase>();
  const bytesOf = ({ image, labels, own }: LoadedCase) =>
    image.byteLength + labels.byteLength + (own?.labels.byteLength ?? 0);
  let bytes = 0;
  return async (id: string): Promise<LoadedCase> => {
    const known = kept.get(id);
    const loaded = known ?? (await load(id));
    kept.delete(id);
    kept.set(id, loaded);
    if (known === undefined) bytes += bytesOf(loaded);
    for (const [oldest, value] of kept) {
      if (bytes <= maxBytes || oldest === id) break;
      kept.delete(oldest);
      bytes -= bytesOf(value);
    }
    return loaded;
  };
}
