// Experiment (c): Dice of a fold's validation cases against minutes of training, in one process and
// without a service. Batches, steps and validation are the trainer's own.

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import type { TrainerCase } from '../../api/contract/trainer.ts';
import { resolveMirrorAxes } from '../augment/augment.ts';
import { listCases, openCases } from '../batches.ts';
import { type CaseResult, summarizeResults } from '../evaluate.ts';
import { labelTask, reportedNames } from '../labels.ts';
import { openLearner } from '../learner.ts';
import { type RawDataset, readRawDataset } from '../nnunet-raw.ts';
import { planLines } from '../planning/plan.ts';
import { planFromFiles } from '../planning/record.ts';
import { cacheShares, openBatches } from '../prefetch/prefetch.ts';
import { scanDataset } from '../scan/scan.ts';
import { evaluateCase } from '../task-figures.ts';
import { chooseBackend } from '../tensorflow/backend.ts';
import { type Spent, trainOverMarks } from './curve.ts';
import { type Frozen, frozen } from './frozen.ts';
import { type HippocampusFlags, hippocampusFlags } from './hippocampus-flags.ts';

const say = (line: string) => console.error(line);

type Row = Record<string, number | null>;

/** `npm run experiment -- hippocampus --data DIR [--minutes 7] [--marks 1,3,7] ...`: README.md. */
export async function hippocampus(args: string[]): Promise<void> {
  const flags = hippocampusFlags(args);
  const { settings, seed, threads } = flags;
  const backend = await chooseBackend({ wanted: flags.backend, threads, log: say });
  const raw = readRawDataset(flags.data);
  const task = labelTask(raw.labels);
  const classes = reportedNames(task);
  const channelCount = Object.keys(raw.channels).length;
  const size = { channelCount, classCount: task.names.length, task };
  const lines = linesOf(raw, flags.fold);
  const { cacheBytes, workerCacheBytes } = cacheShares(settings.prefetch);
  const listed = { lines, dataPath: flags.data, ...size };
  const training = listCases(listed).trainingFiles();
  const channels = Object.values(raw.channels);
  const { labels } = raw;
  const planning = { training, settings, channels, labels, classes: task.names.length };
  const plan = await planFromFiles(planning);
  for (const line of planLines(plan, channels)) say(line);
  const cases = openCases({ ...listed, cacheBytes, plan });
  const snapshot = await snapshotOf(flags, raw, lines);
  const cores = threads ?? availableParallelism();
  const learner = await openLearner({
    ...settings,
    ...plan,
    ...size,
    seed,
    backend: backend.name,
    cores,
  });
  say(`${learner.parameterCount} parameters, ${snapshot.digest}`);
  const mirrorAxes = resolveMirrorAxes(settings.mirrorAxes, { labels: task.names, say });
  const patches = { ...settings, ...plan, mirrorAxes };
  const ahead = { seed, cacheBytes: workerCacheBytes };
  const batches = openBatches({ ...settings, ...ahead, cases, settings: patches });
  const judging = { mirrorAxes: settings.mirrorInference ? mirrorAxes : [], task };
  const rows: Row[] = [];
  const atMark = async (spent: Spent) => {
    const startedAt = performance.now();
    const results: CaseResult[] = [];
    for (const line of cases.validation) {
      results.push(await evaluateCase(await cases.load(line.id), line, learner, judging));
    }
    const found = summarizeResults(results, classes);
    const { loss: validationLoss, volumeRatio } = found;
    const validationSeconds = (performance.now() - startedAt) / 1000;
    rows.push({ ...spent, ...found.dice, volumeRatio, validationLoss, validationSeconds });
    say(shown(rows[rows.length - 1]));
  };
  await trainOverMarks({ ...flags, ...settings, learner, batches, snapshot, atMark });
  await batches.close();
  console.table(rows.map(rounded));
  if (flags.json) {
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length, threads: threads ?? null };
    const setup = { backend, machine, seed, fold: flags.fold, snapshot: snapshot.digest };
    const trained = { plan, parameters: learner.parameterCount, settings };
    writeFileSync(flags.json, `${JSON.stringify({ ...setup, ...trained, rows }, null, 2)}\n`);
  }
  learner.dispose();
}

const rounded = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value && Number(value.toPrecision(4))]),
  );

const shown = (row: Row) =>
  Object.entries(rounded(row))
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

// Files are read where they lie: without a service there is no SHA-256 to compare them with.
function linesOf(raw: RawDataset, fold: number): TrainerCase[] {
  const sides = raw.splits?.[fold];
  if (sides === undefined) throw new Error(`${raw.dir}/splits_final.json has no fold ${fold}`);
  const validation = new Set(sides.val);
  const known = new Set([...sides.train, ...sides.val]);
  return raw.cases
    .filter(({ id }) => known.has(id))
    .map(({ id, images, label }) => ({
      id,
      side: validation.has(id) ? 'val' : 'train',
      groups: {},
      scoreDecile: null,
      files: [...images, label].map((path) => ({ path, sha256: '' })),
    })) as TrainerCase[];
}

/** Uniform draws, or those of a rules file over the attributes that a scan measures. */
async function snapshotOf(
  { data, fold, rules }: HippocampusFlags,
  raw: RawDataset,
  lines: TrainerCase[],
): Promise<Frozen> {
  const training = new Set(lines.filter(({ side }) => side === 'train').map(({ id }) => id));
  const dataset = raw.name;
  if (rules === undefined) {
    const cases = { ids: [...training], columns: {} };
    return frozen({ dataset, fold, cases, attributes: {}, rules: {} });
  }
  const { attributes, cases: scanned } = scanDataset(data);
  const ids: string[] = [];
  const columns: Record<string, unknown[]> = Object.fromEntries(
    Object.keys(attributes).map((name) => [name, []]),
  );
  for await (const one of scanned) {
    if ('fault' in one) throw new Error(`case ${one.fault.id}: ${one.fault.detail}`);
    if (!training.has(one.line.id)) continue;
    ids.push(one.line.id);
    for (const [name, values] of Object.entries(columns)) values.push(one.line.attributes[name]);
  }
  const document = JSON.parse(readFileSync(rules, 'utf8'));
  return frozen({ dataset, fold, cases: { ids, columns }, attributes, rules: document });
}
