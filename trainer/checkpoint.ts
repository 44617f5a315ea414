// Checkpoints in a format of our own: "CWCKPT1\n", header length (u32 LE), header JSON, padding to
// 8 bytes, float32 LE tensors. Written beside the target and renamed, so none is half there.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Normalization } from '../api/contract/plans.ts';
import type { Artifact, LedgerRange } from '../api/contract/trainer.ts';
import type { MirrorAxis } from './augment/mirror.ts';
import type { LabelTask } from './labels.ts';
import type { Size } from './nifti.ts';
import type { OptimizerOptions } from './optimizer.ts';

const magic = 'CWCKPT1\n';

export type NamedTensor = { shape: number[]; data: Float32Array };
export type NamedTensors = Record<string, NamedTensor>;

/** Where a run stands. `drawsDone` is the position in the plan of `epoch`; `ledger` the last. */
export type Progress = {
  job: string;
  seed: number;
  fingerprint: string;
  epoch: number;
  drawsDone: number;
  step: number;
  seconds: number;
  snapshot: string;
  nextSnapshot: { digest: string; fromEpoch: number } | null;
  ledger: LedgerRange | null;
  best: { diceMean: number; epoch: number } | null;
};

/** What the network is and what it was trained on: all that is needed to use it elsewhere. */
export type Model = {
  channels: string[];
  /** What its outputs mean. */
  task: LabelTask;
  spacing: Size;
  normalization: Normalization[];
  patch: Size;
  features: number[];
  kernels: Size[];
  strides: Size[];
  deepSupervision: boolean;
  optimizer: OptimizerOptions;
  mirrorAxes: MirrorAxis[];
  trainedOn: { dataset: string; datasetVersionDigest: string; split: string; fold: number | 'all' };
};

export type Checkpoint = {
  progress: Progress;
  model: Model;
  parameters: NamedTensors;
  optimizer: NamedTensors;
};

export type CheckpointName = 'latest' | 'best';

const fileNames: Record<CheckpointName, string> = {
  latest: 'checkpoint-latest.cwc',
  best: 'checkpoint-best.cwc',
};

type Entry = { list: 'parameters' | 'optimizer'; name: string; shape: number[]; from: number };
type Header = {
  format: 2;
  progress: Progress;
  model: Model;
  tensors: Entry[];
  floats: number;
  sha256: string;
};

/** Bytes of a checkpoint; the header holds the SHA-256 of the tensor bytes. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const tensors: Entry[] = [];
  const parts: Float32Array[] = [];
  let floats = 0;
  for (const list of ['parameters', 'optimizer'] as const) {
    for (const [name, tensor] of Object.entries(checkpoint[list])) {
      tensors.push({ list, name, shape: tensor.shape, from: floats });
      parts.push(tensor.data);
      floats += tensor.data.length;
    }
  }
  const body = new Uint8Array(floats * 4);
  const view = new DataView(body.buffer);
  let at = 0;
  for (const part of parts) {
    for (const value of part) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  }
  const sha256 = createHash('sha256').update(body).digest('hex');
  const { progress, model } = checkpoint;
  const header: Header = { format: 2, progress, model, tensors, floats, sha256 };
  const text = Buffer.from(JSON.stringify(header), 'utf8');
  const lengthBytes = Buffer.alloc(4);
  lengthBytes.writeUInt32LE(text.length);
  const padding = Buffer.alloc((8 - ((magic.length + 4 + text.length) % 8)) % 8);
  return Buffer.concat([Buffer.from(magic, 'ascii'), lengthBytes, text, padding, body]);
}

/** Reads a checkpoint's bytes; throws with what is wrong when they are not one or are damaged. */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.subarray(0, magic.length).toString('ascii') !== magic) {
    throw new Error('not a checkpoint of this trainer');
  }
  const textLength = buffer.readUInt32LE(magic.length);
  const textEnd = magic.length + 4 + textLength;
  if (textEnd > buffer.length) throw new Error('the checkpoint is cut short');
  const header = JSON.parse(buffer.toString('utf8', magic.length + 4, textEnd)) as Header;
  if (header.format !== 2) {
    throw new Error(
      `the checkpoint has format ${header.format}, this trainer reads 2: train again, or use the version that wrote it`,
    );
  }
  const body = buffer.subarray(textEnd + ((8 - (textEnd % 8)) % 8));
  if (body.length !== header.floats * 4) throw new Error('the checkpoint is cut short');
  if (createHash('sha256').update(body).digest('hex') !== header.sha256) {
    throw new Error('the checkpoint is damaged: its SHA-256 does not match');
  }
  const { progress, model } = header;
  const checkpoint: Checkpoint = { progress, model, parameters: {}, optimizer: {} };
  for (const { list, name, shape, from } of header.tensors) {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < data.length; i += 1) data[i] = body.readFloatLE((from + i) * 4);
    checkpoint[list][name] = { shape, data };
  }
  return checkpoint;
}

/** Writes a checkpoint under `outPath` and answers it as an artifact of the job. */
export async function writeCheckpoint(
  outPath: string,
  name: CheckpointName,
  checkpoint: Checkpoint,
): Promise<Artifact> {
  const bytes = encodeCheckpoint(checkpoint);
  await writeAtomically(join(outPath, fileNames[name]), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: `checkpoint-${name}`, path: fileNames[name], sha256, bytes: bytes.length };
}

/** Of everything that changes the numbers of a run: a checkpoint made with another is not used. */
export function fingerprintOf(settings: Record<string, unknown>): string {
  const names = [
    ...['features', 'kernels', 'strides', 'deepSupervision', 'patch', 'channelCount', 'classCount'],
    ...['epochs', 'drawsPerEpoch', 'batchSize', 'learningRate', 'optimizer', 'seed'],
    ...['task', 'augmentation', 'mirrorAxes', 'foregroundShare', 'spacing', 'normalization'],
  ];
  const text = JSON.stringify(names.map((name) => settings[name] ?? null));
  return createHash('sha256').update(text).digest('hex');
}

/** Whole file or none: written to a temporary name, flushed to disk, renamed. */
export async function writeAtomically(path: string, bytes: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** The checkpoint of that name, or null when there is none; throws when it cannot be read. */
export async function readCheckpoint(
  outPath: string,
  name: CheckpointName,
): Promise<Checkpoint | null> {
  const path = join(outPath, fileNames[name]);
  if (!existsSync(path)) return null;
  return decodeCheckpoint(await readFile(path));
}

/** A checkpoint file as an artifact, or null where there is none. */
export async function checkpointArtifact(
  outPath: string,
  name: CheckpointName,
): Promise<Artifact | null> {
  const path = join(outPath, fileNames[name]);
  if (!existsSync(path)) return null;
  const bytes = await readFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: `checkpoint-${name}`, path: fileNames[name], sha256, bytes: bytes.length };
}

/**
 * Where to continue: the newest readable checkpoint of this very job and settings, else null.
 * `explain` is told about every file that is there and cannot be used.
 */
export async function findResumePoint(
  outPath: string,
  expected: { job: string; fingerprint: string },
  explain: (line: string) => void,
): Promise<Checkpoint | null> {
  const found: Checkpoint[] = [];
  for (const name of ['latest', 'best'] as const) {
    try {
      const checkpoint = await readCheckpoint(outPath, name);
      if (!checkpoint) continue;
      const { job, fingerprint } = checkpoint.progress;
      if (job !== expected.job) explain(`${fileNames[name]} is of job ${job}: not used`);
      else if (fingerprint !== expected.fingerprint) {
        explain(`${fileNames[name]} was made with other settings: not used`);
      } else found.push(checkpoint);
    } catch (error) {
      explain(`${fileNames[name]} cannot be read (${(error as Error).message}): not used`);
    }
  }
  found.sort((a, b) => b.progress.step - a.progress.step);
  return found[0] ?? null;
}
