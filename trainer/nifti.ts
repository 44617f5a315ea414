// NIfTI in and out. Volumes are [z, y, x] in C order, which is the file's own order because x runs
// fastest there; spacings are millimetres in the same order.

import { open, readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import * as nifti from 'nifti-reader-js';
import { type Geometry, plainGeometry, readGeometry, writeGeometry } from './nifti-geometry.ts';

export type Size = [number, number, number];

export type Volume = {
  data: Float32Array;
  /** [z, y, x] in voxels. */
  shape: Size;
  /** [z, y, x] in mm. */
  spacing: Size;
  /** Where the image lies; left out, its axes are those of the scanner. */
  geometry?: Geometry;
};

const unzip = promisify(gunzip);
const zip = promisify(gzip);

type Reader = { bytes: number; read: (view: DataView, at: number, little: boolean) => number };

// The datatype codes of the NIfTI-1 standard.
const readers: Record<number, Reader> = {
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  4: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  8: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  16: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  64: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  256: { bytes: 1, read: (view, at) => view.getInt8(at) },
  512: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  768: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  1024: { bytes: 8, read: (view, at, little) => Number(view.getBigInt64(at, little)) },
  1280: { bytes: 8, read: (view, at, little) => Number(view.getBigUint64(at, little)) },
};

async function fileBytes(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await unzip(bytes);
  } catch (cause) {
    throw new Error(
      `${path}: the gzip data is damaged or cut short (${(cause as Error).message})`,
      {
        cause,
      },
    );
  }
}

/** Endings of the files that are read. */
export const niftiEndings = ['.nii.gz', '.nii'];

/** Throws for a file of another format, saying what to do. */
export function requireNifti(path: string): void {
  if (niftiEndings.some((ending) => path.toLowerCase().endsWith(ending))) return;
  const kind = extname(path) === '' ? 'a file without an ending' : `a file ending ${extname(path)}`;
  throw new Error(`${path}: ${kind} is not read; convert it to .nii.gz`);
}

/** Reads a 3D volume. Throws an Error that names the file and what is wrong with it. */
export async function readVolume(path: string): Promise<Volume> {
  requireNifti(path);
  return parseVolume(await fileBytes(path), path);
}

/** Reads shape and spacing from the beginning of a file, not its voxels; throws as `readVolume`. */
export async function readGrid(path: string): Promise<Pick<Volume, 'shape' | 'spacing'>> {
  requireNifti(path);
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    const start = buffer.subarray(0, bytesRead);
    const zipped = start[0] === 0x1f && start[1] === 0x8b;
    // What was read is a piece of the data: it may end anywhere.
    const bytes = zipped ? await unzip(start, { finishFlush: constants.Z_SYNC_FLUSH }) : start;
    const { shape, spacing } = gridOf(bufferOf(bytes), path);
    return { shape, spacing };
  } finally {
    await file.close();
  }
}

/** Enough for the header, zipped or not. */
const headerBytes = 2 ** 14;

const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): ArrayBuffer =>
  buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;

function gridOf(buffer: ArrayBuffer, path: string) {
  if (!nifti.isNIFTI(buffer)) throw new Error(`${path}: this is not a NIfTI file`);
  const header = nifti.readHeader(buffer);
  const { dims, pixDims } = header;
  const extra = dims.slice(4, dims[0] + 1).filter((length) => length > 1);
  if (extra.length > 0) {
    throw new Error(
      `${path}: the image has ${dims[0]} dimensions (${dims.slice(1, dims[0] + 1).join(' x ')}); one volume of 3 is read`,
    );
  }
  const shape = [dims[3], dims[2], dims[1]].map((length) => Math.max(1, length)) as Size;
  const spacing = [pixDims[3], pixDims[2], pixDims[1]].map((mm) => Math.abs(mm) || 1) as Size;
  return { header, shape, spacing };
}

/** A volume from the (unzipped) bytes of a NIfTI file; `path` is for messages. */
export function parseVolume(bytes: Uint8Array, path: string): Volume {
  const buffer = bufferOf(bytes);
  const { header, shape, spacing } = gridOf(buffer, path);
  const { datatypeCode, littleEndian } = header;
  const reader = readers[datatypeCode];
  if (reader === undefined) throw new Error(`${path}: data of type ${datatypeCode} is not read`);
  const count = shape[0] * shape[1] * shape[2];
  const offset = Math.floor(header.vox_offset);
  if (buffer.byteLength < offset + count * reader.bytes) {
    throw new Error(`${path}: the file ends before its ${count} voxels do`);
  }
  const view = new DataView(buffer, offset);
  const slope = Number.isFinite(header.scl_slope) && header.scl_slope !== 0 ? header.scl_slope : 1;
  const shift = Number.isFinite(header.scl_inter) && header.scl_slope !== 0 ? header.scl_inter : 0;
  const data = new Float32Array(count);
  for (let k = 0; k < count; k++)
    data[k] = reader.read(view, k * reader.bytes, littleEndian) * slope + shift;
  const geometry = readGeometry(new DataView(buffer), littleEndian);
  return { data, shape, spacing, geometry };
}

export type StoredAs = 'uint8' | 'float32';

/** Writes a .nii.gz volume; the same volume gives the same bytes. */
export async function writeVolume(
  path: string,
  volume: Volume,
  type: StoredAs = 'float32',
): Promise<void> {
  await writeFile(path, await zip(volumeBytes(volume, type), { level: 6 }));
}

/** The bytes of a single-file NIfTI-1 image, little endian. */
export function volumeBytes(volume: Volume, type: StoredAs): Uint8Array {
  const { data, shape, spacing, geometry = plainGeometry(spacing) } = volume;
  const width = type === 'uint8' ? 1 : 4;
  const bytes = new Uint8Array(352 + data.length * width);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, 348, true);
  const dims = [3, shape[2], shape[1], shape[0], 1, 1, 1, 1];
  for (const [k, length] of dims.entries()) view.setInt16(40 + 2 * k, length, true);
  view.setInt16(70, type === 'uint8' ? 2 : 16, true);
  view.setInt16(72, 8 * width, true);
  writeGeometry(view, geometry);
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 1, true);
  bytes.set([0x6e, 0x2b, 0x31, 0], 344); // "n+1"
  for (let k = 0; k < data.length; k++) {
    if (type === 'uint8') view.setUint8(352 + k, data[k]);
    else view.setFloat32(352 + 4 * k, data[k], true);
  }
  return bytes;
}
