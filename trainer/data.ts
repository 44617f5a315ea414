// A case as the trainer needs it: z-scored channels, labels, and where each class lies.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readVolume, type Size, type Volume } from './nifti.ts';

export type LoadedCase = {
  id: string;
  /** [Z,Y,X,C], each channel with mean 0 and deviation 1 over the case. */
  image: Float32Array;
  channels: number;
  /** [Z,Y,X] */
  labels: Uint8Array;
  shape: Size;
  spacing: Size;
  /** Class value to its voxels per slice z; foreground classes that are present only. */
  foreground: Map<number, Uint32Array>;
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
};

/** Reads a case. Throws an Error that names the file and what is wrong with it. */
export async function loadCase(given: CaseFiles & LoadSettings): Promise<LoadedCase> {
  const { id, images, label, values } = given;
  const [truth, ...volumes] = await Promise.all([label, ...images].map(readVolume));
  for (const [k, { shape }] of volumes.entries())
    requireSameShape(images[k], shape, label, truth.shape);
  const image = new Float32Array(truth.data.length * volumes.length);
  for (const [k, volume] of volumes.entries()) {
    writeZScored(image, volume, { channel: k, channels: volumes.length, path: images[k] });
  }
  const labels = labelArray(truth, label, values);
  const { shape, spacing } = truth;
  return {
    id,
    image,
    channels: volumes.length,
    labels,
    shape,
    spacing,
    foreground: foregroundOf(labels, shape),
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

function writeZScored(
  image: Float32Array,
  { data }: Volume,
  { channel, channels, path }: { channel: number; channels: number; path: string },
): void {
  let sum = 0;
  let squares = 0;
  for (const value of data) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / data.length;
  if (!Number.isFinite(mean))
    throw new Error(`${path}: the image holds voxels that are not finite`);
  const deviation = Math.sqrt(Math.max(squares / data.length - mean * mean, 0)) || 1;
  for (let k = 0; k < data.length; k++)
    image[k * channels + channel] = (data[k] - mean) / deviation;
}

function foregroundOf(labels: Uint8Array, [depth, height, width]: Size): Map<number, Uint32Array> {
  const counts = new Uint32Array(256 * depth);
  for (let z = 0, k = 0; z < depth; z++)
    for (const end = k + height * width; k < end; k++) counts[labels[k] * depth + z]++;
  const found = new Map<number, Uint32Array>();
  for (let value = 1; value < 256; value++) {
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
  const bytesOf = ({ image, labels }: LoadedCase) => image.byteLength + labels.byteLength;
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
