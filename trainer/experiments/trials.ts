// An experiment on made-up images: arms times seeds, a line of progress for each, tables, JSON.

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type BackendName, chooseBackend } from '../tensorflow/backend.ts';
import type { Arm } from './arms.ts';
import type { PlaneCase } from './planes.ts';
import { type EpochEnd, type Figures, figuresOf, type TrialSettings, trainArm } from './trial.ts';

export type Experiment = {
  name: string;
  settings: TrialSettings;
  training: (seed: number) => PlaneCase[];
  validation: (seed: number) => PlaneCase[];
  arms: (cases: PlaneCase[]) => (Arm & { epochEnd?: EpochEnd })[];
};

export type Trial = Figures & { seed: number; arm: string; digest: string | null; seconds: number };

const options = {
  seeds: { type: 'string', default: '101..106' },
  arms: { type: 'string' },
  backend: { type: 'string', default: 'auto' },
  threads: { type: 'string', default: '1' },
  json: { type: 'string' },
  steps: { type: 'string' },
  lr: { type: 'string' },
  averaging: { type: 'string' },
  features: { type: 'string' },
} as const;

/** `1..6` or `1,4,9` as numbers; throws for anything else. */
export function seedsOf(text: string): number[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(text);
  const seeds = range
    ? Array.from(
        { length: Number(range[2]) - Number(range[1]) + 1 },
        (_, k) => Number(range[1]) + k,
      )
    : text.split(',').map(Number);
  if (seeds.length > 0 && seeds.every((seed) => Number.isSafeInteger(seed) && seed >= 0)) {
    return seeds;
  }
  throw new Error(`--seeds takes 101..106 or 1,4,9, not "${text}"`);
}

/** Runs an experiment from its flags: README.md lists them. */
export async function runExperiment(experiment: Experiment, args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options });
  const seeds = seedsOf(values.seeds);
  const say = (line: string) => console.error(line);
  const wanted = values.backend as 'auto' | BackendName;
  const threads = Number(values.threads);
  const backend = await chooseBackend({ wanted, threads, log: say });
  const { settings: usual } = experiment;
  const settings: TrialSettings = {
    ...usual,
    steps: Number(values.steps ?? usual.steps),
    learningRate: Number(values.lr ?? usual.learningRate),
    averaging: Number(values.averaging ?? usual.averaging),
    features: values.features?.split(',').map(Number) ?? usual.features,
  };
  const chosen = values.arms?.split(',');
  const trials: Trial[] = [];
  for (const seed of seeds) {
    const cases = experiment.training(seed);
    const validation = experiment.validation(seed);
    for (const arm of experiment.arms(cases)) {
      if (chosen && !chosen.includes(arm.name)) continue;
      const startedAt = performance.now();
      const { epochEnd } = arm;
      const learner = trainArm({ arm, cases, settings, seed, backend: backend.name, epochEnd });
      const seconds = (performance.now() - startedAt) / 1000;
      const figures = await figuresOf(learner, validation);
      learner.dispose();
      trials.push({ seed, arm: arm.name, digest: arm.digest, seconds, ...figures });
      say(lineOf(trials[trials.length - 1]));
    }
  }
  console.log(tableOf(trials, seeds));
  if (values.json) {
    const machine = { cpu: cpus()[0]?.model, cores: cpus().length };
    const setup = { experiment: experiment.name, settings, backend, machine };
    writeFileSync(values.json, `${JSON.stringify({ ...setup, trials }, null, 2)}\n`);
  }
}

const figures: [string, (trial: Trial) => number | null][] = [
  ['Dice of the common class', ({ dice }) => dice[1]],
  ['Dice of the rare class', ({ dice }) => dice[2]],
  ['called / true volume of the rare class', ({ calledRatio }) => calledRatio],
  ['expected / true volume of the rare class', ({ expectedRatio }) => expectedRatio],
  ['log loss on the natural mix', ({ logLoss }) => logLoss],
  ['seconds of training', ({ seconds }) => seconds],
];

const shown = (value: number | null) =>
  value === null ? '-' : value >= 10 ? value.toFixed(1) : value.toFixed(value < 0.1 ? 4 : 2);

const lineOf = (trial: Trial) =>
  `seed ${trial.seed}, ${trial.arm}: ` +
  figures.map(([name, read]) => `${name} ${shown(read(trial))}`).join(', ');

/** A Markdown table per figure: a row per arm, a column per seed. */
function tableOf(trials: Trial[], seeds: number[]): string {
  const arms = [...new Set(trials.map(({ arm }) => arm))];
  const tables = figures.map(([name, read]) => {
    const rows = arms.map((arm) => {
      const own = trials.filter((trial) => trial.arm === arm);
      return `| ${[arm, ...own.map((trial) => shown(read(trial)))].join(' | ')} |`;
    });
    const head = `| ${[name, ...seeds].join(' | ')} |`;
    return [head, `|${' --- |'.repeat(seeds.length + 1)}`, ...rows].join('\n');
  });
  return tables.join('\n\n');
}
