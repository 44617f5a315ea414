// npm run bench -- soak [STEPS] [--backend NAME] [--prefetch N]: a whole training run on a phantom,
// and what it holds in memory after every 100 steps. Flat is good.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import type { Report, TrainerCase } from '../../api/contract/trainer.ts';
import { table } from '../../trainer/commands/io.ts';
import { fileSha256 } from '../../trainer/data.ts';
import { train } from '../../trainer/main.ts';
import { writePhantomDataset } from '../../trainer/phantom.ts';
import { systemClock } from '../../trainer/report.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { makeSnapshot } from '../support/tiny-dataset.ts';
import { createTrainerService } from '../support/trainer-service.ts';

const stepsPerEpoch = 100;
const batchSize = 2;
const patch = [32, 48, 32];

/** Runs the trainer against a service in memory and prints a line per epoch of 100 steps. */
export async function soak(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      backend: { type: 'string', default: 'auto' },
      prefetch: { type: 'string', default: '2' },
    },
  });
  const epochs = Math.ceil(Number(positionals[0] ?? 1000) / stepsPerEpoch);
  const root = mkdtempSync(join(tmpdir(), 'cw-soak-'));
  try {
    const cases = await makeCases(join(root, 'data'));
    const drawn = cases.filter(({ side }) => side === 'train');
    const settings = {
      epochs,
      drawsPerEpoch: stepsPerEpoch * batchSize,
      batchSize,
      patch,
      backend: values.backend,
      prefetch: Number(values.prefetch),
      validateEvery: 2,
    };
    const job = { id: 'soak', seed: 1, settings, labels: classes, channels: { '0': 'MRI' } };
    const snapshot = makeSnapshot(Object.fromEntries(drawn.map(({ id }) => [id, 1])));
    const rows: Row[] = [];
    const service = createTrainerService({
      job,
      snapshots: [snapshot],
      cases,
      answer: (report) => {
        rows.push(...rowsOf(report));
        return {};
      },
    });
    const exitCode = await run(root, service);
    if (exitCode !== exitCodes.done) throw new Error(`the run ended with exit code ${exitCode}`);
    print(rows);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const classes = { background: 0, organ: 1, lesion: 2 };

async function makeCases(dir: string): Promise<TrainerCase[]> {
  await writePhantomDataset(dir, { cases: 40, shape: [36, 52, 36] });
  const splits = JSON.parse(readFileSync(join(dir, 'splits_final.json'), 'utf8'));
  const cases: TrainerCase[] = [];
  for (const side of ['train', 'val'] as const) {
    for (const id of splits[0][side] as string[]) {
      const paths = [`imagesTr/${id}_0000.nii.gz`, `labelsTr/${id}.nii.gz`];
      const files = [];
      for (const path of paths) files.push({ path, sha256: await fileSha256(join(dir, path)) });
      cases.push({ id, side, groups: {}, scoreDecile: null, files });
    }
  }
  return cases;
}

function run(root: string, service: ReturnType<typeof createTrainerService>): Promise<number> {
  return train({
    environment: {
      api: 'http://service',
      job: 'soak',
      token: service.state.token,
      dataPath: join(root, 'data'),
      outPath: join(root, 'out'),
      backend: null,
      threads: null,
    },
    fetch: service.fetch,
    clock: systemClock,
    signal: new AbortController().signal,
    say: (line) => console.log(line),
  });
}

type Row = { step: number; tensors: number; rss: number; seconds: number; wait: number };

/** One row for the report that closes an epoch. */
function rowsOf({ metrics = [] }: Report): Row[] {
  const closing = metrics.find(({ name }) => name === 'waitSeconds');
  if (closing === undefined) return [];
  const { step, value: wait } = closing;
  const seconds = metrics.find(({ name }) => name === 'secondsPerStep')?.value ?? 0;
  const { numTensors: tensors } = tf.memory();
  return [{ step, tensors, rss: process.memoryUsage().rss, seconds, wait }];
}

function print(rows: Row[]): void {
  const heading = ['step', 'tensors', 'RSS', 'ms a step', 'of which waiting'];
  const lines = rows.map(({ step, tensors, rss, seconds, wait }) => [
    String(step),
    String(tensors),
    `${Math.round(rss / 2 ** 20)} MiB`,
    (seconds * 1000).toFixed(0),
    (wait * 1000).toFixed(1),
  ]);
  console.log(table([heading, ...lines]));
}
