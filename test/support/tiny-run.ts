// A run of the trainer on the tiny data set: its job, its service from memory, its folder.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainerCase } from '../../api/contract/trainer.ts';
import { train } from '../../trainer/main.ts';
import type { Surroundings } from '../../trainer/run.ts';
import { backendUnderTest, onWasm } from './native.ts';
import { tickingClock } from './ticking-clock.ts';
import { makeSnapshot, writeTinyDataset } from './tiny-dataset.ts';
import {
  createTrainerService,
  type TrainerService,
  type TrainerServiceOptions,
} from './trainer-service.ts';

export const settings = {
  epochs: 3,
  drawsPerEpoch: 6,
  batchSize: 2,
  network: { features: [2, 4] },
  patch: [4, 8, 8],
  validateEvery: 2,
  augmentation: 'full',
  foregroundShare: 0.5,
  prefetch: 2,
};

export const job = {
  id: 'job1',
  seed: 11,
  labels: { background: 0, blob: 1 },
  channels: { '0': 'MRI' },
};

export const snapshot = makeSnapshot({ t0: 3, t1: 1, t2: 1, t3: 1 });

export type TinyRun = {
  root: string;
  cases: TrainerCase[];
  /** Where the next run writes. */
  outPath: string;
  /** What the runs have said. */
  said: string[];
  /** A new folder under the root. */
  newFolder: () => string;
  makeService: (more?: Partial<TrainerServiceOptions>) => TrainerService;
  run: (service: TrainerService, more?: Partial<Surroundings>) => Promise<number>;
  remove: () => void;
};

/** Writes the data set, four cases to train on and two to validate. */
export async function makeTinyRun(): Promise<TinyRun> {
  const root = mkdtempSync(join(tmpdir(), 'cw-run-'));
  const sides = { train: ['t0', 't1', 't2', 't3'], val: ['v0', 'v1'] };
  const cases = await writeTinyDataset(join(root, 'data'), sides);
  const newFolder = () => mkdtempSync(join(root, 'out-'));
  const tiny: TinyRun = {
    root,
    cases,
    outPath: newFolder(),
    said: [],
    newFolder,
    makeService: (more = {}) =>
      createTrainerService({ job: { ...job, settings }, snapshots: [snapshot], cases, ...more }),
    run: (service, more = {}) =>
      train({
        environment: {
          api: 'http://service',
          job: job.id,
          token: service.state.token,
          dataPath: join(root, 'data'),
          outPath: tiny.outPath,
          threads: null,
          backend: onWasm ? 'cpu' : backendUnderTest,
        },
        fetch: service.fetch,
        clock: tickingClock(),
        signal: new AbortController().signal,
        say: (line) => tiny.said.push(line),
        ...more,
      }),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  return tiny;
}
