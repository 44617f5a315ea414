// The flags of `npm run experiment -- hippocampus`: every one that a job's settings know becomes a
// setting, so that defaults are the trainer's own.

import { parseArgs } from 'node:util';
import type { TrainerJob } from '../../api/contract/trainer.ts';
import { type ResolvedSettings, resolveSettings } from '../settings.ts';
import type { BackendName } from '../tensorflow/backend.ts';
import type { Budget } from './curve.ts';

const options = {
  data: { type: 'string' },
  fold: { type: 'string', default: '0' },
  backend: { type: 'string', default: 'auto' },
  threads: { type: 'string' },
  seed: { type: 'string', default: '1' },
  minutes: { type: 'string' },
  steps: { type: 'string' },
  marks: { type: 'string', default: '1,3,7' },
  rules: { type: 'string' },
  json: { type: 'string' },
  features: { type: 'string' },
  patch: { type: 'string' },
  batch: { type: 'string', default: '2' },
  lr: { type: 'string' },
  optimizer: { type: 'string' },
  averaging: { type: 'string' },
  augmentation: { type: 'string' },
  'mirror-axes': { type: 'string' },
  'mirror-inference': { type: 'string' },
  'foreground-share': { type: 'string' },
  'deep-supervision': { type: 'boolean' },
  prefetch: { type: 'string' },
} as const;

export type HippocampusFlags = {
  data: string;
  fold: number;
  backend: 'auto' | BackendName;
  threads: number | undefined;
  seed: number;
  budget: Budget;
  /** In seconds or steps, as the budget. */
  marks: number[];
  rules: string | undefined;
  json: string | undefined;
  settings: ResolvedSettings;
  /** The settings that were given, as a job would say them. */
  given: Record<string, unknown>;
};

/** What decides about defaults that depend on a run's length, where only its minutes are known. */
const stepsPerSecond = 2;
const stepsPerEpoch = 50;

/** Reads the flags; throws a sentence for a missing or unknown one, or a refused setting. */
export function hippocampusFlags(args: string[]): HippocampusFlags {
  const { values } = parseArgs({ args, options });
  if (values.data === undefined) {
    throw new Error('--data DIR names the folder, as nnUNet_raw/Dataset004_Hippocampus');
  }
  const bySteps = values.steps !== undefined;
  const unit = bySteps ? 1 : 60;
  const whole = numberOf('steps or --minutes', values.steps ?? values.minutes ?? '7') * unit;
  const batchSize = numberOf('batch', values.batch);
  const epochs = Math.ceil((bySteps ? whole : whole * stepsPerSecond) / stepsPerEpoch);
  const given = defined({
    batchSize,
    learningRate: maybeNumber('lr', values.lr),
    optimizer: values.optimizer,
    averaging: maybeNumber('averaging', values.averaging),
    augmentation: values.augmentation,
    foregroundShare: maybeNumber('foreground-share', values['foreground-share']),
    mirrorInference: maybeBoolean(values['mirror-inference']),
    mirrorAxes: values['mirror-axes']?.split(',').filter((axis) => axis !== ''),
    prefetch: maybeNumber('prefetch', values.prefetch),
    patch: values.patch === undefined ? undefined : numbersOf('patch', values.patch),
    network: {
      features: numbersOf('features', values.features ?? '8,16,32'),
      deepSupervision: values['deep-supervision'] ?? false,
    },
  });
  const job = { ...given, epochs, drawsPerEpoch: stepsPerEpoch * batchSize };
  return {
    data: values.data,
    fold: numberOf('fold', values.fold),
    backend: values.backend as 'auto' | BackendName,
    threads: maybeNumber('threads', values.threads),
    seed: numberOf('seed', values.seed),
    budget: bySteps ? { steps: whole } : { seconds: whole },
    marks: numbersOf('marks', values.marks).map((mark) => mark * unit),
    rules: values.rules,
    json: values.json,
    settings: resolveSettings({ settings: job } as unknown as TrainerJob, null),
    given,
  };
}

const defined = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));

/** A number of a flag; throws naming the flag. */
export function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new Error(`--${flag} takes a number, not "${text}"`);
}

const numbersOf = (flag: string, text: string) =>
  text.split(',').map((part) => numberOf(flag, part));
const maybeNumber = (flag: string, text: string | undefined) =>
  text === undefined ? undefined : numberOf(flag, text);
const maybeBoolean = (text: string | undefined) =>
  text === undefined ? undefined : text === 'true';
