// NIfTI in and out: what is read, and that every refusal names the file and what is wrong with it.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  parseVolume,
  readGrid,
  readVolume,
  type Size,
  volumeBytes,
  writeVolume,
} from '../../trainer/nifti.ts';
import { type Geometry, plainGeometry, readGeometry } from '../../trainer/nifti-geometry.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-nifti-'));
const shape: Size = [2, 3, 4];
const spacing: Size = [3, 1, 0.5];
const data = Float32Array.from({ length: 24 }, (_, k) => k * 1.5 - 7);
const volume = { data, shape, spacing };

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The same image with another data type, slope or byte order. */
function image(options: {
  code: number;
  bytes: number;
  little?: boolean;
  slope?: number;
}): Uint8Array {
  const { code, bytes, little = true, slope = 0 } = options;
  const plain = new DataView(volumeBytes(volume, 'uint8').buffer);
  const out = new DataView(new ArrayBuffer(352 + 24 * bytes));
  for (let k = 0; k < 352; k++) out.setUint8(k, plain.getUint8(k));
  const swap16 = [...Array.from({ length: 8 }, (_, k) => 40 + 2 * k), 70, 72, 254];
  const swap32 = [0, 108, ...Array.from({ length: 8 }, (_, k) => 76 + 4 * k)];
  out.setInt16(70, code, true);
  out.setInt16(72, 8 * bytes, true);
  out.setFloat32(112, slope, true);
  out.setFloat32(116, slope === 0 ? 0 : 10, true);
  if (!little) {
    for (const at of swap16) out.setInt16(at, out.getInt16(at, true), false);
    for (const at of [...swap32, 112, 116]) out.setInt32(at, out.getInt32(at, true), false);
  }
  for (let k = 0; k < 24; k++) {
    const at = 352 + k * bytes;
    if (code === 4) out.setInt16(at, k - 5, little);
    else if (code === 16) out.setFloat32(at, k - 5, little);
    else if (code === 64) out.setFloat64(at, k - 5, little);
  }
  return new Uint8Array(out.buffer);
}

const counted = Float32Array.from({ length: 24 }, (_, k) => k - 5);

describe('reading', () => {
  test.each([
    ['16-bit integers', { code: 4, bytes: 2 }],
    ['32-bit floats', { code: 16, bytes: 4 }],
    ['64-bit floats', { code: 64, bytes: 8 }],
    ['big-endian 16-bit integers', { code: 4, bytes: 2, little: false }],
    ['big-endian floats', { code: 16, bytes: 4, little: false }],
  ])('reads %s with shape and spacing in z, y, x', (_, options) => {
    const read = parseVolume(image(options), 'x.nii');
    expect(read).toMatchObject({ data: counted, shape, spacing });
  });

  test('applies slope and intercept', () => {
    const read = parseVolume(image({ code: 4, bytes: 2, slope: 2 }), 'x.nii');
    expect(read.data).toEqual(counted.map((value) => value * 2 + 10));
  });

  test('reads what it wrote, and writes the same bytes twice', async () => {
    const path = join(folder, 'round.nii.gz');
    await writeVolume(path, volume);
    expect(await readVolume(path)).toEqual({ ...volume, geometry: plainGeometry(spacing) });
    expect(volumeBytes(volume, 'float32')).toEqual(volumeBytes(volume, 'float32'));
  });

  // Numbers that float32 holds exactly.
  const tilted: Geometry = {
    qformCode: 1,
    sformCode: 2,
    handedness: -1,
    pixDims: [1.5, 0.75, 3],
    quaternion: [0.5, -0.25, 0.125],
    offset: [-90, 126, -72],
    rows: [1.5, 0.25, 0, -90, -0.25, 0.75, 0.5, 126, 0, -0.5, 3, -72],
    units: 10,
  };

  test('keeps where an image lies, so that a prediction can be laid over it', () => {
    const placed = parseVolume(volumeBytes({ ...volume, geometry: tilted }, 'float32'), 'x.nii');
    expect(placed.geometry).toEqual(tilted);
    expect(placed.spacing).toEqual([3, 0.75, 1.5]);
    const labels = parseVolume(volumeBytes({ ...placed, data: counted }, 'uint8'), 'y.nii');
    expect(labels.geometry).toEqual(tilted);
  });

  test('reads the place of big-endian and of NIfTI-2 images', () => {
    const first = new DataView(volumeBytes({ ...volume, geometry: tilted }, 'uint8').buffer);
    const big = new DataView(first.buffer.slice(0));
    for (const at of [0, 76, 80, 84, 88, ...Array.from({ length: 18 }, (_, k) => 256 + 4 * k)]) {
      big.setInt32(at, first.getInt32(at, true), false);
    }
    for (const at of [252, 254]) big.setInt16(at, first.getInt16(at, true), false);
    expect(readGeometry(big, false)).toEqual(tilted);

    const second = new DataView(new ArrayBuffer(540));
    second.setInt32(0, 540, true);
    const reals: [number, number[]][] = [
      [104, [tilted.handedness, ...tilted.pixDims]],
      [352, tilted.quaternion],
      [376, tilted.offset],
      [400, tilted.rows],
    ];
    for (const [from, values] of reals) {
      for (const [k, value] of values.entries()) second.setFloat64(from + 8 * k, value, true);
    }
    second.setInt32(344, tilted.qformCode, true);
    second.setInt32(348, tilted.sformCode, true);
    second.setInt32(500, tilted.units, true);
    expect(readGeometry(second, true)).toEqual(tilted);
  });
});

test('shape and spacing are read from the beginning of a file alone', async () => {
  const large = { data: new Float32Array(40 ** 3).map(Math.random), shape: [40, 40, 40] as Size };
  const bytes = volumeBytes({ ...large, spacing: [3, 0.5, 0.25] }, 'float32');
  const wanted = { shape: [40, 40, 40], spacing: [3, 0.5, 0.25] };
  const zipped = gzipSync(bytes);
  const cut = zipped.subarray(0, zipped.length / 2);
  expect(await readGrid(written('grid-cut.nii.gz', cut))).toEqual(wanted);
  expect(await readGrid(written('grid-plain.nii', bytes))).toEqual(wanted);
  const short = written('grid-short.nii.gz', gzipSync(volumeBytes(volume, 'float32')));
  expect(await readGrid(short)).toEqual({ shape: volume.shape, spacing: volume.spacing });
  const none = written('grid-none.nii.gz', new TextEncoder().encode('no image'));
  await expect(readGrid(none)).rejects.toThrow(`${none}: this is not a NIfTI file`);
});

describe('refusing', () => {
  test.each(['case.mha', 'case.png', 'case.nrrd'])('%s: says what to do', async (name) => {
    const path = written(name, volumeBytes(volume, 'float32'));
    const says = `${path}: a file ending .${name.slice(5)} is not read; convert it to .nii.gz`;
    await expect(readVolume(path)).rejects.toThrow(says);
    await expect(readGrid(path)).rejects.toThrow(says);
  });

  const zipped = gzipSync(volumeBytes(volume, 'float32'));
  const fourth = volumeBytes(volume, 'float32');
  new DataView(fourth.buffer).setInt16(40, 4, true);
  new DataView(fourth.buffer).setInt16(48, 5, true);
  test.each([
    ['a gzip file cut short', zipped.subarray(0, zipped.length - 20), /damaged or cut short/],
    ['a file that is no image', new TextEncoder().encode('x'.repeat(500)), /not a NIfTI file/],
    [
      'an image cut short',
      volumeBytes(volume, 'float32').subarray(0, 400),
      /ends before its 24 voxels/,
    ],
    ['several volumes in one', fourth, /4 dimensions \(4 x 3 x 2 x 5\)/],
    ['a type of data that is not read', image({ code: 1792, bytes: 16 }), /data of type 1792/],
  ])('refuses %s, naming the file', async (what, bytes, says) => {
    const path = written(`${what.replaceAll(' ', '-')}.nii.gz`, bytes);
    await expect(readVolume(path)).rejects.toThrow(says);
    await expect(readVolume(path)).rejects.toThrow(path);
  });
});
