// A data set that fits a hand: 6x10x10 volumes in nnU-Net's raw layout, with a bright cube to find,
// and snapshots of its cases. Written by a NIfTI writer of its own, so that reading is tested too.

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import type { SnapshotDocument, TrainerCase } from '../../api/contract/trainer.ts';
import { snapshotDigest } from '../../api/weights/digest.ts';

const [depth, height, width] = [6, 10, 10];

/** Writes the cases and answers their lines; groups alternate between site A and B. */
export async function writeTinyDataset(
  root: string,
  sides: { train: string[]; val: string[] },
): Promise<TrainerCase[]> {
  await mkdir(join(root, 'imagesTr'), { recursive: true });
  await mkdir(join(root, 'labelsTr'), { recursive: true });
  const lines: TrainerCase[] = [];
  for (const side of ['train', 'val'] as const) {
    for (const [place, id] of sides[side].entries()) {
      const { image, label } = volumesOf(lines.length);
      const files = [
        await writeFileWithHash(root, `imagesTr/${id}_0000.nii.gz`, nifti(image)),
        await writeFileWithHash(root, `labelsTr/${id}.nii.gz`, nifti(label)),
      ];
      const groups = { site: place % 2 === 0 ? 'A' : 'B' };
      lines.push({ id, side, groups, scoreDecile: place % 10, files });
    }
  }
  return lines;
}

async function writeFileWithHash(root: string, path: string, bytes: Uint8Array) {
  await writeFile(join(root, path), bytes);
  return { path, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** A cube of side 4 at a place of its number's, and noise that is a function of place. */
function volumesOf(number: number): { image: Float32Array; label: Float32Array } {
  const image = new Float32Array(depth * height * width);
  const label = new Float32Array(image.length);
  const corner = [1, 1 + (number % 4), 4 - (number % 3)] as const;
  for (let z = 0; z < depth; z += 1) {
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const at = (z * height + y) * width + x;
        const inside = [z, y, x].every((c, axis) => c >= corner[axis]! && c < corner[axis]! + 4);
        label[at] = Number(inside);
        image[at] = (inside ? 5 : 0) + Math.sin(at * 12.9898 + number) + 1;
      }
    }
  }
  return { image, label };
}

/** A gzipped NIfTI-1 file of float32 voxels of 1 mm, x fastest. */
function nifti(voxels: Float32Array): Uint8Array {
  const bytes = Buffer.alloc(352 + voxels.length * 4);
  bytes.writeInt32LE(348, 0);
  for (const [i, size] of [3, width, height, depth, 1, 1, 1, 1].entries()) {
    bytes.writeInt16LE(size, 40 + 2 * i);
  }
  bytes.writeInt16LE(16, 70);
  bytes.writeInt16LE(32, 72);
  for (let i = 0; i < 8; i += 1) bytes.writeFloatLE(1, 76 + 4 * i);
  bytes.writeFloatLE(352, 108);
  bytes.writeFloatLE(1, 112);
  bytes.write('n+1\0', 344, 'ascii');
  voxels.forEach((value, i) => {
    bytes.writeFloatLE(value, 352 + 4 * i);
  });
  return gzipSync(bytes);
}

/** A snapshot with a uniform target and draw probabilities in the given proportions. */
export function makeSnapshot(
  proportions: Record<string, number>,
  { parentDigest = null, lossFactor }: { parentDigest?: string | null; lossFactor?: number } = {},
): SnapshotDocument {
  const ids = Object.keys(proportions).sort();
  const targetUnits = unitsOf(ids.map(() => 1));
  const drawUnits = unitsOf(ids.map((id) => proportions[id]!));
  const lossFactors = ids.map((_, i) => lossFactor ?? targetUnits[i]! / drawUnits[i]!);
  const header: SnapshotHeader = {
    format: 1,
    dataset: 'tiny',
    datasetVersionDigest: `sha256:${'ab'.repeat(32)}`,
    split: 'five-fold',
    fold: 0,
    ruleSetDigest: `sha256:${'cd'.repeat(32)}`,
    floor: 0.2,
    cap: 5,
    temper: 1,
    strength: 1,
    caseCount: ids.length,
    parentDigest,
    evidenceDigest: null,
    cause: parentDigest === null ? 'rules' : 'ramp',
  };
  const cases = ids.map((id, i) => ({
    id,
    targetUnits: String(targetUnits[i]),
    drawUnits: String(drawUnits[i]),
    lossFactor: lossFactors[i]!,
    score: proportions[id]!,
  }));
  const digest = snapshotDigest({ header, ids, targetUnits, drawUnits, lossFactors });
  return { digest, header, cases };
}

/** Whole numbers in proportion that sum to 2^52; the first takes what rounding leaves. */
function unitsOf(proportions: number[]): number[] {
  const total = proportions.reduce((sum, value) => sum + value, 0);
  const units = proportions.map((value) => Math.floor((value / total) * 2 ** 52));
  units[0]! += 2 ** 52 - units.reduce((sum, value) => sum + value, 0);
  return units;
}
