// Where the trainer's configuration comes from: environment, flags and the job's settings.
// Everything that can be wrong before the first step is refused here with exit code 64.

import { type Settings, settingsSchema } from '../api/contract/settings.ts';
import type { TrainerCase, TrainerJob } from '../api/contract/trainer.ts';
import type { Size } from './nifti.ts';
import type { OptimizerOptions } from './optimizer.ts';

/** What the process ends with. */
export const exitCodes = { done: 0, failed: 1, configuration: 64, revoked: 75, stopped: 143 };

/** The one error of the trainer: a sentence for people and the exit code that follows from it. */
export class TrainerError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed, cause?: unknown) {
    super(message, { cause });
    this.name = 'TrainerError';
    this.exitCode = exitCode;
  }
}

export type BackendChoice = 'auto' | 'native' | 'wasm' | 'cpu';
const backends: BackendChoice[] = ['auto', 'native', 'wasm', 'cpu'];

export type Environment = {
  api: string;
  job: string;
  token: string;
  dataPath: string;
  outPath: string;
  /** Threads of one operation on the native backend; null takes all of the machine's. */
  threads: number | null;
  backend: BackendChoice | null;
};

/** Reads the CW_* variables and flags; refuses what is missing or unknown. */
export function readEnvironment(
  env: Record<string, string | undefined>,
  flags: string[],
): Environment {
  const read = (name: string): string => {
    const value = env[name]?.trim();
    if (!value)
      refuse(`${name} is not set: the launcher sets CW_API CW_JOB CW_TOKEN CW_DATA CW_OUT`);
    return value;
  };
  const api = read('CW_API').replace(/\/+$/, '');
  if (!/^https?:\/\//.test(api)) refuse(`CW_API must be an http or https address, not "${api}"`);
  return {
    api,
    job: read('CW_JOB'),
    token: read('CW_TOKEN'),
    dataPath: read('CW_DATA'),
    outPath: read('CW_OUT'),
    threads: readThreads(env.CW_THREADS),
    backend: readBackendFlag(flags),
  };
}

function readThreads(given: string | undefined): number | null {
  if (given === undefined || given.trim() === '') return null;
  const threads = Number(given);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  return refuse(`CW_THREADS is a whole number from 1 to 1024, not "${given}"`);
}

function readBackendFlag(flags: string[]): BackendChoice | null {
  let chosen: BackendChoice | null = null;
  const rest = flags.flatMap((flag) => flag.split(/=(.*)/s).slice(0, flag.includes('=') ? 2 : 1));
  while (rest.length > 0) {
    const name = rest.shift();
    if (name !== '--backend') refuse(`unknown flag ${name}: the trainer knows only --backend`);
    const value = rest.shift() as BackendChoice;
    if (!backends.includes(value)) refuse(`--backend is one of ${backends.join(', ')}`);
    chosen = value;
  }
  return chosen;
}

/** Settings with the trainer's own defaults filled in; the data decide what is left out. */
export type ResolvedSettings = Omit<
  Settings,
  'learningRate' | 'network' | 'patch' | 'optimizer'
> & {
  optimizer: OptimizerOptions;
  deepSupervision: boolean;
  kernels: Size[] | undefined;
  strides: Size[] | undefined;
  augmentation: 'none' | 'mild' | 'full';
  mirrorInference: boolean;
  foregroundShare: number;
  prefetch: number;
  learningRate: number;
  features: number[] | undefined;
  memoryMiB: number;
  patch: Size | null;
  validateEvery: number;
  checkpointEvery: number;
  backend: BackendChoice;
  stepsPerEpoch: number;
  steps: number;
};

/** What planning assumes of a machine that nothing is known of. */
export const defaultMemoryMiB = 2048;
/** From this many steps on momentum overtakes Adam; in a few hundred it learns nothing. */
const longRun = 20_000;
/** Shorter runs do not see enough to gain by full augmentation: see experiments/README.md. */
const wellFed = 5_000;
const usualRates = { adam: 4e-3, sgd: 1e-2 };

/** Fills in defaults and refuses what this trainer does not do. */
export function resolveSettings(job: TrainerJob, flag: BackendChoice | null): ResolvedSettings {
  const parsed = settingsSchema.safeParse(job.settings);
  if (!parsed.success) {
    const fault = parsed.error.issues[0]!;
    refuse(`settings.${fault.path.join('.')}: ${fault.message}`);
  }
  const settings = parsed.data;
  if (settings.trainer !== 'counterweight') {
    refuse(`settings.trainer is "${settings.trainer}", but this is the counterweight trainer`);
  }
  if (settings.allowBatchDice) {
    refuse('settings.allowBatchDice: this trainer computes Dice per case and has no batch Dice');
  }
  const { learningRate, network, patch, validateEvery, checkpointEvery, backend, ...rest } =
    settings;
  const steps = (rest.drawsPerEpoch / rest.batchSize) * rest.epochs;
  const kind = rest.optimizer ?? (steps >= longRun ? 'sgd' : 'adam');
  const stepsPerEpoch = rest.drawsPerEpoch / rest.batchSize;
  return {
    ...rest,
    augmentation: rest.augmentation ?? (steps >= wellFed ? 'full' : 'mild'),
    mirrorInference: rest.mirrorInference ?? true,
    foregroundShare: rest.foregroundShare ?? 1 / 3,
    prefetch: rest.prefetch ?? 2,
    optimizer: { kind, averaging: rest.averaging ?? 0.995 },
    learningRate: learningRate ?? usualRates[kind],
    features: network?.features,
    memoryMiB: rest.memoryMiB ?? defaultMemoryMiB,
    deepSupervision: network?.deepSupervision ?? false,
    kernels: network?.kernels,
    strides: network?.strides,
    patch: patch ?? null,
    validateEvery: validateEvery ?? Math.max(1, Math.ceil(rest.epochs / 10)),
    checkpointEvery: checkpointEvery ?? 1,
    backend: flag ?? backend ?? 'auto',
    stepsPerEpoch,
    steps,
  };
}

/** `attribute=value` for every group attribute of a case. */
export function groupKeys(trainerCase: Pick<TrainerCase, 'groups'>): string[] {
  return Object.entries(trainerCase.groups).map(([attribute, value]) => `${attribute}=${value}`);
}

function refuse(message: string): never {
  throw new TrainerError(message, exitCodes.configuration);
}
