// A dataset folder in nnU-Net's raw format: dataset.json, imagesTr/ID_0000.nii.gz,
// labelsTr/ID.nii.gz.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { philoxWords } from '../api/weights/philox.ts';
import { niftiEndings } from './nifti.ts';

export type RawCase = {
  id: string;
  /** Paths relative to the folder, one per channel, in channel order. */
  images: string[];
  label: string;
};

export type Folds = { train: string[]; val: string[] }[];

export type RawDataset = {
  dir: string;
  name: string;
  channels: Record<string, string>;
  labels: Record<string, number | number[]>;
  fileEnding: string;
  cases: RawCase[];
  /** What splits_final.json says, or null where there is none. */
  splits: Folds | null;
};

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Reads the folder's structure, no image. Throws an Error that says what is missing. */
export function readRawDataset(dir: string): RawDataset {
  const path = join(dir, 'dataset.json');
  if (!existsSync(path)) {
    throw new Error(
      `${dir} has no dataset.json; give a folder in nnU-Net raw format, as nnUNet_raw/Dataset004_Hippocampus`,
    );
  }
  const json = readJson(path) as Record<string, unknown>;
  const channels = (json.channel_names ?? json.modality) as Record<string, string> | undefined;
  const labels = json.labels as Record<string, number | number[]> | undefined;
  const fileEnding = String(json.file_ending ?? '.nii.gz');
  if (channels === undefined) throw new Error(`${path} has no channel_names`);
  if (labels === undefined || labels.background !== 0) {
    throw new Error(`${path}: labels must map names to numbers, with background 0`);
  }
  if (!niftiEndings.includes(fileEnding)) {
    throw new Error(`${path}: files ending ${fileEnding} are not read; convert them to .nii.gz`);
  }
  const base = dir.replace(/\/+$/, '').split('/').pop() ?? 'dataset';
  const name = String(json.name ?? base)
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  const cases = listCases(dir, { fileEnding, channelCount: Object.keys(channels).length });
  const splitsPath = join(dir, 'splits_final.json');
  const splits = existsSync(splitsPath) ? (readJson(splitsPath) as Folds) : null;
  return { dir, name: name || 'dataset', channels, labels, fileEnding, cases, splits };
}

function listCases(
  dir: string,
  { fileEnding, channelCount }: { fileEnding: string; channelCount: number },
): RawCase[] {
  const folder = join(dir, 'labelsTr');
  if (!existsSync(folder)) throw new Error(`${dir} has no folder labelsTr`);
  const ids = readdirSync(folder)
    .filter((file) => file.endsWith(fileEnding) && !file.startsWith('.'))
    .map((file) => file.slice(0, -fileEnding.length))
    .sort();
  if (ids.length === 0) {
    const other = readdirSync(folder).find((file) => !file.startsWith('.'));
    const instead = other === undefined ? '' : ` but ${other}; convert its images to .nii.gz`;
    throw new Error(`${folder} holds no file ending ${fileEnding}${instead}`);
  }
  return ids.map((id) => ({
    id,
    images: Array.from(
      { length: channelCount },
      (_, k) => `imagesTr/${id}_${String(k).padStart(4, '0')}${fileEnding}`,
    ),
    label: `labelsTr/${id}${fileEnding}`,
  }));
}

/** Values that a label image may hold: every number that dataset.json lists. */
export function labelValues(labels: RawDataset['labels']): Set<number> {
  return new Set(Object.values(labels).flat());
}

/** Classes and regions besides the background, with their values, in order of the first value. */
export function foregroundLabels(
  labels: RawDataset['labels'],
): { name: string; values: number[] }[] {
  return Object.entries(labels)
    .map(([name, value]) => ({ name, values: [value].flat().sort((a, b) => a - b) }))
    .filter(({ name, values }) => name !== 'ignore' && values.some((value) => value !== 0))
    .sort((a, b) => a.values[0] - b.values[0] || b.values.length - a.values.length);
}

/** Five folds of shuffled ids, as nnU-Net makes them where there are none; the same every time. */
export function fiveFolds(ids: string[]): Folds {
  const shuffled = [...ids].sort();
  const { below } = philoxWords([12345, 0]);
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  const count = Math.min(5, shuffled.length);
  return Array.from({ length: count }, (_, fold) => ({
    train: shuffled.filter((_, k) => k % count !== fold).sort(),
    val: shuffled.filter((_, k) => k % count === fold).sort(),
  }));
}
