// A made-up dataset in nnU-Net raw format, for a first try without images. Every case has an organ
// (a solid ball); few have a lesion (a hollow one), which is what a uniform sampler sees too
// seldom.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { philoxWords, type RandomWords } from '../api/weights/philox.ts';
import { type Size, writeVolume } from './nifti.ts';

export type PhantomOptions = { cases?: number; seed?: number; shape?: Size; lesionEvery?: number };

const organ = 1;
const lesion = 2;

/** Writes the dataset; the same options give the same bytes. Answers the folder. */
export async function writePhantomDataset(
  dir: string,
  options: PhantomOptions = {},
): Promise<string> {
  const { cases = 80, seed = 1, shape = [16, 32, 32], lesionEvery = 8 } = options;
  await mkdir(join(dir, 'imagesTr'), { recursive: true });
  await mkdir(join(dir, 'labelsTr'), { recursive: true });
  const ids = Array.from({ length: cases }, (_, k) => `phantom_${String(k).padStart(3, '0')}`);
  for (const [k, id] of ids.entries()) {
    const { image, labels } = phantomCase({
      shape,
      withLesion: hasLesion(k, lesionEvery),
      random: philoxWords([seed, k]),
    });
    const spacing: Size = [2, 1, 1];
    await writeVolume(join(dir, `imagesTr/${id}_0000.nii.gz`), { data: image, shape, spacing });
    await writeVolume(
      join(dir, `labelsTr/${id}.nii.gz`),
      { data: labels, shape, spacing },
      'uint8',
    );
  }
  await writeJson(join(dir, 'dataset.json'), {
    name: 'Phantom',
    channel_names: { 0: 'MRI' },
    labels: { background: 0, organ, lesion },
    numTraining: cases,
    file_ending: '.nii.gz',
  });
  await writeJson(join(dir, 'splits_final.json'), spreadFolds(ids, lesionEvery));
  return dir;
}

const hasLesion = (k: number, every: number) => k % every === 0;

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

// Five folds; lesion cases and others are dealt out separately, so that each fold has both.
function spreadFolds(ids: string[], every: number): { train: string[]; val: string[] }[] {
  const foldOf = new Map<string, number>();
  const rare = ids.filter((_, k) => hasLesion(k, every));
  const common = ids.filter((_, k) => !hasLesion(k, every));
  for (const some of [rare, common]) for (const [k, id] of some.entries()) foldOf.set(id, k % 5);
  return Array.from({ length: 5 }, (_, fold) => ({
    train: ids.filter((id) => foldOf.get(id) !== fold),
    val: ids.filter((id) => foldOf.get(id) === fold),
  }));
}

type Ball = { centre: Size; radius: number };

function phantomCase({
  shape,
  withLesion,
  random,
}: {
  shape: Size;
  withLesion: boolean;
  random: RandomWords;
}) {
  const uniform = (low: number, high: number) => low + (high - low) * (random.word() / 2 ** 32);
  const image = new Float32Array(shape[0] * shape[1] * shape[2]);
  const labels = new Float32Array(image.length);
  const [depth, height, width] = shape;
  const left = random.below(2) === 0;
  const place = (onLeft: boolean): Size => [
    uniform(0.4, 0.6) * depth,
    uniform(0.35, 0.65) * height,
    (onLeft ? uniform(0.24, 0.32) : uniform(0.68, 0.76)) * width,
  ];
  // Two balls in every case, so that images with and without a lesion are alike but for the hollow.
  for (const onLeft of [left, !left]) {
    const ball = { centre: place(onLeft), radius: uniform(4.5, 6) };
    drawBall(image, labels, shape, { ball, hollow: withLesion && onLeft !== left });
  }
  const noise = random.below(2) === 0 ? uniform(0.02, 0.04) : uniform(0.08, 0.12);
  const slope = uniform(-0.3, 0.3);
  for (let k = 0; k < image.length; k++) {
    const shade = slope * ((k % width) / width - 0.5);
    const sum = uniform(-1, 1) + uniform(-1, 1) + uniform(-1, 1);
    image[k] = 100 * (image[k] + shade + noise * sum);
  }
  return { image, labels };
}

// Planes are two voxels of height apart, so a ball of mm is half as deep in voxels.
function drawBall(
  image: Float32Array,
  labels: Float32Array,
  [, height, width]: Size,
  { ball: { centre, radius }, hollow }: { ball: Ball; hollow: boolean },
): void {
  for (let k = 0; k < image.length; k++) {
    const dz = 2 * (Math.floor(k / (height * width)) - centre[0]);
    const dy = (Math.floor(k / width) % height) - centre[1];
    const dx = (k % width) - centre[2];
    const distance = Math.sqrt(dz * dz + dy * dy + dx * dx);
    if (distance > radius) continue;
    labels[k] = hollow ? lesion : organ;
    image[k] = hollow && distance < radius - 2.2 ? 0.1 : 1;
  }
}
