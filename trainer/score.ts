// A checkpoint over a fold's validation cases: predictions as images, and nnU-Net's summary, from
// which difficulty is imported. A model never scores what it may have been trained on.

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, decodeCheckpoint, type Model, writeAtomically } from './checkpoint.ts';
import { loadCase } from './data.ts';
import { predictCase } from './inference.ts';
import { allowedValues, labelTask, summaryKeys } from './labels.ts';
import { createLearner, type Learner } from './learner.ts';
import { readVolume, writeVolume } from './nifti.ts';
import { type Folds, type RawDataset, readRawDataset } from './nnunet-raw.ts';
import { type BackendChoice, exitCodes, TrainerError } from './settings.ts';
import { type ScoredCase, type Summary, summaryOf, summaryText } from './summary.ts';
import { labelImage, taskCounts } from './task-figures.ts';
import { chooseBackend } from './tensorflow/backend.ts';

export type ScoreRequest = {
  checkpoint: string;
  dataDir: string;
  outDir: string;
  /** A splits_final.json; by default the one in the data folder. */
  splitFile: string | null;
  /** By default the fold that the checkpoint was trained on. */
  fold: number | null;
  backend: BackendChoice;
  mirror: boolean;
  /** Scores also where the fold is another than the checkpoint's. */
  anyway: boolean;
};

/**
 * Scores the fold's validation cases. Predictions are OUT/ID.nii.gz with their image's geometry,
 * the summary is OUT/summary.json; cases that are there from a broken run are made again.
 * Throws TrainerError (configuration) where checkpoint, data and fold do not belong together.
 */
export async function scoreFold(
  request: ScoreRequest,
  { say, tell }: { say: (line: string) => void; tell: (done: number, count: number) => void },
): Promise<{ summary: Summary; fold: number; model: Model; file: string }> {
  const checkpoint = await openCheckpoint(request.checkpoint);
  const { model } = checkpoint;
  const dataset = readRawDataset(request.dataDir);
  requireSameTask(model, dataset);
  const fold = foldOf(request, model);
  const ids = await validationIds(request, dataset, fold);
  const backend = await chooseBackend({ wanted: request.backend, log: say });
  const learner = learnerOf(checkpoint, backend.name);
  try {
    await mkdir(request.outDir, { recursive: true });
    const scored: ScoredCase[] = [];
    for (const [place, id] of ids.entries()) {
      scored.push(await scoreCase(id, { request, model, dataset, learner }));
      tell(place + 1, ids.length);
    }
    const summary = summaryOf(scored, summaryKeys(model.task), dataset.fileEnding);
    const file = join(request.outDir, 'summary.json');
    await writeAtomically(file, summaryText(summary));
    return { summary, fold, model, file };
  } finally {
    learner.dispose();
  }
}

const refusal = (message: string, cause?: unknown) =>
  new TrainerError(message, exitCodes.configuration, cause);

async function openCheckpoint(path: string): Promise<Checkpoint> {
  if (!existsSync(path)) throw refusal(`${path} is not there`);
  try {
    return decodeCheckpoint(await readFile(path));
  } catch (cause) {
    throw refusal(`${path}: ${(cause as Error).message}`, cause);
  }
}

const taskLine = ({ names, regions, ignore }: Model['task']) =>
  names
    .map((name, k) => (regions === null ? name : `${name} (${regions[k].join(', ')})`))
    .concat(ignore === null ? [] : [`ignore ${ignore}`])
    .join(', ');

function requireSameTask(model: Model, { dir, labels, channels }: RawDataset): void {
  const [own, theirs] = [model.task, labelTask(labels)].map(taskLine);
  if (own !== theirs) {
    throw refusal(`the checkpoint tells ${own} apart, but ${dir} has the labels ${theirs}`);
  }
  const count = Object.keys(channels).length;
  if (count !== model.channels.length) {
    throw refusal(
      `the checkpoint reads ${model.channels.length} channels, but ${dir} has ${count}`,
    );
  }
}

function foldOf({ fold, anyway }: ScoreRequest, { trainedOn }: Model): number {
  const trained = trainedOn.fold;
  const wanted = fold ?? trained;
  if (wanted === 'all') {
    throw refusal(
      'the checkpoint was trained on all cases, so none is left to score; give --fold and --anyway to score what it has seen',
    );
  }
  if (wanted !== trained && !anyway) {
    throw refusal(
      `the checkpoint was trained on fold ${trained}, so it has seen validation cases of fold ${wanted}: their Dice would not be out of fold. Score fold ${trained}, or give --anyway if they are not to become difficulties`,
    );
  }
  return wanted;
}

async function validationIds(
  { splitFile }: ScoreRequest,
  { dir, splits, cases }: RawDataset,
  fold: number,
): Promise<string[]> {
  const folds = splitFile === null ? splits : await readFolds(splitFile);
  if (folds === null) {
    throw refusal(`${dir} has no splits_final.json; give the split of the training with --split`);
  }
  const one = folds[fold];
  if (one === undefined) {
    throw refusal(`there is no fold ${fold}: the split has ${folds.length}`);
  }
  const known = new Set(cases.map(({ id }) => id));
  const missing = one.val.filter((id) => !known.has(id));
  if (missing.length > 0) {
    const some = missing.slice(0, 5).join(', ');
    throw refusal(`fold ${fold} names ${missing.length} cases that ${dir} lacks: ${some}`);
  }
  return one.val.toSorted();
}

async function readFolds(path: string): Promise<Folds> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Folds;
  } catch (cause) {
    throw refusal(`${path} cannot be read: ${(cause as Error).message}`, cause);
  }
}

function learnerOf(checkpoint: Checkpoint, backend: Learner['backend']): Learner {
  const { model, progress } = checkpoint;
  const size = { channelCount: model.channels.length, classCount: model.task.names.length };
  const learner = createLearner({ ...model, ...size, backend, seed: progress.seed });
  learner.load(checkpoint);
  return learner;
}

async function scoreCase(
  id: string,
  given: { request: ScoreRequest; model: Model; dataset: RawDataset; learner: Learner },
): Promise<ScoredCase> {
  const { request, model, dataset, learner } = given;
  const one = dataset.cases.find((known) => known.id === id) as RawDataset['cases'][number];
  const under = (path: string) => join(request.dataDir, path);
  const images = one.images.map(under);
  const values = allowedValues(model.task);
  const { spacing: planned, normalization } = model;
  const plan = { values, spacing: planned, normalization };
  const loaded = await loadCase({ id, images, label: under(one.label), ...plan });
  const mirrors = request.mirror ? model.mirrorAxes : [];
  const { probabilities, labels } = await predictCase(loaded, learner, mirrors);
  const predicted = labelImage(probabilities, model.task);
  const { shape, spacing, geometry } = await readVolume(images[0]);
  const volume = { data: Float32Array.from(predicted), shape, spacing, geometry };
  await writeVolume(join(request.outDir, `${id}.nii.gz`), volume, 'uint8');
  return { id, counts: taskCounts(predicted, labels, model.task), voxels: labels.length };
}
