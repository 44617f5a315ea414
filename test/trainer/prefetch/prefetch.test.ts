// Batches made ahead by a worker are those made between steps, byte by byte and in the same order,
// and so are their errors. A closed source leaves no process hanging.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { TrainerCase } from '../../../api/contract/trainer.ts';
import type { PatchSettings } from '../../../trainer/augment/augment.ts';
import { openCases } from '../../../trainer/batches.ts';
import { type BatchSource, openBatches } from '../../../trainer/prefetch/prefetch.ts';
import { TrainerError } from '../../../trainer/settings.ts';
import { writeTinyDataset } from '../../support/tiny-dataset.ts';

const settings: PatchSettings = {
  patch: [4, 8, 8],
  augmentation: 'full',
  mirrorAxes: ['x', 'y'],
  foregroundShare: 0.5,
};
const plan = ['t0', 't2', 't1', 't1', 't0', 't2', 't2', 't0', 't1', 't0', 't2', 't1'];
let root: string;
let lines: TrainerCase[];
const open: BatchSource[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cw-prefetch-'));
  lines = await writeTinyDataset(root, { train: ['t0', 't1', 't2', 'bad'], val: [] });
  writeFileSync(join(root, 'imagesTr/bad_0000.nii.gz'), 'no image');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(open.splice(0).map((source) => source.close()));
});

function source(prefetch: number, cacheBytes = 2 ** 20, batchSize = 2): BatchSource {
  const given = { lines, dataPath: root, channelCount: 1, classCount: 2, cacheBytes };
  const cases = openCases(given);
  const opened = openBatches({ cases, settings, seed: 5, batchSize, prefetch, cacheBytes });
  open.push(opened);
  return opened;
}

async function take(from: BatchSource, batches: number, at = 0, epoch = 0) {
  const { next } = from.ofEpoch({ plan, from: at, epoch });
  const taken = [];
  for (let k = 0; k < batches; k++) taken.push(await next());
  return taken;
}

test.each([1, 2, 64])(
  '%i ahead: the same bytes as made in line, epoch after epoch',
  async (ahead) => {
    const [here, there] = [source(0), source(ahead)];
    for (const epoch of [0, 1]) {
      const wanted = await take(here, 6, 0, epoch);
      expect(await take(there, 6, 0, epoch)).toEqual(wanted);
      expect(new Set(wanted.map(({ images }) => images.join())).size).toBe(6);
    }
  },
);

test('a plan taken up in its middle goes on with the same bytes', async () => {
  const whole = await take(source(2), 6);
  expect(await take(source(2), 4, 4)).toEqual(whole.slice(2));
});

test('a draw has the same bytes in a batch of any size', async () => {
  const inPairs = await take(source(0), 6);
  const inSixes = await take(source(0, 2 ** 20, 6), 2);
  const flat = (batches: typeof inPairs) => batches.flatMap(({ images }) => [...images]);
  expect(flat(inSixes)).toEqual(flat(inPairs));
});

test('a cache that holds no second case changes nothing', async () => {
  expect(await take(source(2, 1), 6)).toEqual(await take(source(0), 6));
});

test.each([0, 3])('%i ahead: an error names the case, when its turn comes', async (ahead) => {
  const { next } = source(ahead).ofEpoch({
    plan: ['t0', 't1', 't2', 'bad', 't0', 't1'],
    from: 0,
    epoch: 0,
  });
  await next();
  const error = await next().catch((thrown) => thrown);
  expect(error).toBeInstanceOf(TrainerError);
  expect(error.exitCode).toBe(1);
  expect(error.message).toMatch(/^case bad: .*bad_0000\.nii\.gz/);
  await next();
});

test('a plan has no batch after its last', async () => {
  const { next } = source(2).ofEpoch({ plan, from: 10, epoch: 0 });
  await next();
  expect(next).toThrow('the plan has no batch left');
});

test('a closed source answers with an error, not never', async () => {
  const closing = source(2);
  const { next } = closing.ofEpoch({ plan, from: 0, epoch: 0 });
  const first = next();
  await closing.close();
  await expect(first).rejects.toThrow('the worker that makes batches ended: it was closed');
  await expect(next()).rejects.toThrow(TrainerError);
});

test('answers that come while a source is being closed are passed over', async () => {
  const opened = source(64);
  await take(opened, 1);
  // While another process is waited for, the worker goes on, and its answers queue up here.
  execFileSync(process.execPath, ['-e', '']);
  await opened.close();
});

test('a process started as the trainer is ends by itself once its source is closed', async () => {
  const at = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
  const given = { lines, dataPath: root, channelCount: 1, classCount: 2, cacheBytes: 1 };
  const script = `
    const { openCases } = await import(${at('trainer/batches.ts')});
    const { openBatches } = await import(${at('trainer/prefetch/prefetch.ts')});
    const cases = openCases(${JSON.stringify(given)});
    const settings = ${JSON.stringify(settings)};
    const source = openBatches({ cases, settings, seed: 5, batchSize: 2, prefetch: 2, cacheBytes: 1 });
    const { next } = source.ofEpoch({ plan: ${JSON.stringify(plan)}, from: 0, epoch: 0 });
    console.log((await next()).images.length);
    await source.close();
  `;
  const flags = ['--import', 'tsx', '--input-type=module', '-e', script];
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd, timeout: 30_000 });
  expect(stdout).toBe('512\n');
});
