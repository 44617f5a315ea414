// Checkpoints survive a round trip, a crash while writing, and are refused when damaged.

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  findResumePoint,
  readCheckpoint,
  writeCheckpoint,
} from '../../trainer/checkpoint.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cw-checkpoint-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function checkpointAt(step: number, job = 'job1'): Checkpoint {
  return {
    progress: {
      job,
      seed: 1,
      fingerprint: 'f',
      epoch: 2,
      drawsDone: 4,
      step,
      seconds: 1.5,
      snapshot: `sha256:${'0'.repeat(64)}`,
      nextSnapshot: null,
      ledger: null,
      best: { diceMean: 0.5, epoch: 1 },
    },
    model: {
      channels: ['MRI'],
      task: { names: ['background', 'lesion'], regions: null, written: [0, 1], ignore: null },
      spacing: [2, 1, 1],
      normalization: [{ kind: 'zScore' }],
      patch: [2, 4, 4],
      features: [4, 8],
      kernels: [
        [1, 3, 3],
        [3, 3, 3],
      ],
      strides: [
        [1, 1, 1],
        [1, 2, 2],
      ],
      deepSupervision: false,
      optimizer: { kind: 'adam', averaging: 0.9 },
      mirrorAxes: ['x'],
      trainedOn: {
        dataset: 'd',
        datasetVersionDigest: `sha256:${'1'.repeat(64)}`,
        split: 'five',
        fold: 0,
      },
    },
    parameters: { 'conv/kernel': { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, 1e-30) } },
    optimizer: { iterations: { shape: [], data: Float32Array.of(7) } },
  };
}

const expected = { job: 'job1', fingerprint: 'f' };

test('what is encoded is decoded, bit by bit', () => {
  fc.assert(
    fc.property(fc.float32Array({ noNaN: true, maxLength: 50 }), fc.string(), (data, name) => {
      const checkpoint = checkpointAt(3);
      checkpoint.parameters = { [`p${name}`]: { shape: [data.length], data } };
      expect(decodeCheckpoint(encodeCheckpoint(checkpoint))).toEqual(checkpoint);
    }),
  );
});

test('a damaged or cut checkpoint is refused', () => {
  const bytes = encodeCheckpoint(checkpointAt(3));
  const damaged = bytes.slice();
  damaged[damaged.length - 3]! ^= 1;
  expect(() => decodeCheckpoint(damaged)).toThrow('damaged');
  expect(() => decodeCheckpoint(bytes.slice(0, -4))).toThrow('cut short');
  expect(() => decodeCheckpoint(Buffer.from('something else'))).toThrow('not a checkpoint');
});

test('a written checkpoint is an artifact, and no temporary file stays', async () => {
  const outPath = join(folder, 'written');
  const artifact = await writeCheckpoint(outPath, 'latest', checkpointAt(3));
  const bytes = await readFile(join(outPath, artifact.path));
  expect(artifact).toEqual({
    name: 'checkpoint-latest',
    path: 'checkpoint-latest.cwc',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
  });
  expect(await readdir(outPath)).toEqual(['checkpoint-latest.cwc']);
  expect(await readCheckpoint(outPath, 'latest')).toEqual(checkpointAt(3));
});

test('a run continues from the newest readable checkpoint of its own job', async () => {
  const outPath = join(folder, 'resume');
  const said: string[] = [];
  const find = () => findResumePoint(outPath, expected, (line) => said.push(line));
  expect(await find()).toBeNull();
  await writeCheckpoint(outPath, 'best', checkpointAt(3));
  await writeCheckpoint(outPath, 'latest', checkpointAt(9));
  expect((await find())?.progress.step).toBe(9);
  expect(said).toEqual([]);
  await writeFile(join(outPath, 'checkpoint-latest.cwc'), 'half a fi');
  expect((await find())?.progress.step).toBe(3);
  expect(said).toEqual([
    'checkpoint-latest.cwc cannot be read (not a checkpoint of this trainer): not used',
  ]);
});

test('checkpoints of another job or of other settings are not used, and it is said', async () => {
  const outPath = join(folder, 'other');
  const said: string[] = [];
  await writeCheckpoint(outPath, 'latest', checkpointAt(9, 'job2'));
  const other = checkpointAt(9);
  other.progress.fingerprint = 'g';
  await writeCheckpoint(outPath, 'best', other);
  expect(await findResumePoint(outPath, expected, (line) => said.push(line))).toBeNull();
  expect(said).toEqual([
    'checkpoint-latest.cwc is of job job2: not used',
    'checkpoint-best.cwc was made with other settings: not used',
  ]);
});
