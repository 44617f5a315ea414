// A checkpoint of a real, tiny run scored over its fold: the trainer's own Dice, images that lie
// where the case lies, and a summary that the service takes as out-of-fold difficulty.

import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { readVolume } from '../../../trainer/nifti.ts';
import { exitCodes } from '../../../trainer/settings.ts';
import { openTestApp } from '../../support/app.ts';
import { must, ndjsonOf } from '../../support/builders.ts';
import { makeTinyRun, type TinyRun } from '../../support/tiny-run.ts';

let tiny: TinyRun;
let data: string;
let checkpoint: string;
let reported: number;
const said: string[] = [];
const out: string[] = [];
const io: Io = {
  ...systemIo,
  env: {},
  out: (line) => out.push(line),
  say: (line) => said.push(line),
};
const folds = [
  { train: ['t0', 't1', 't2', 't3'], val: ['v0', 'v1'] },
  { train: ['t2', 't3', 'v0', 'v1'], val: ['t0', 't1'] },
];

beforeAll(async () => {
  tiny = await makeTinyRun();
  data = join(tiny.root, 'data');
  const task = {
    channel_names: { '0': 'MRI' },
    labels: { background: 0, blob: 1 },
    file_ending: '.nii.gz',
  };
  writeFileSync(join(data, 'dataset.json'), JSON.stringify(task));
  writeFileSync(join(data, 'splits_final.json'), JSON.stringify(folds));
  const service = tiny.makeService();
  expect(await tiny.run(service)).toBe(exitCodes.done);
  reported = service.state.finished?.summary?.dice?.blob as number;
  checkpoint = join(tiny.outPath, 'checkpoint-latest.cwc');
});
afterAll(() => tiny.remove());

const score = async (...args: string[]) => {
  said.length = 0;
  out.length = 0;
  const folder = mkdtempSync(join(tiny.root, 'scored-'));
  const options = ['--data', data, '--out', folder, '--backend', 'cpu'];
  const code = await run(['score', checkpoint, ...options, ...args], io);
  return { code, folder, said: said.join('\n') };
};

test("predicts the fold's cases as the trainer validated them, image and summary", async () => {
  const { code, folder } = await score('--json');
  expect(code).toBe(0);
  const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'));
  expect(summary.metric_per_case.map(({ prediction_file }: any) => prediction_file)).toEqual([
    'v0.nii.gz',
    'v1.nii.gz',
  ]);
  expect(summary.mean['1'].Dice).toBeCloseTo(reported, 6);
  expect(summary.foreground_mean.Dice).toBeCloseTo(reported, 6);
  expect(JSON.parse(out[0])).toMatchObject({ fold: 0, mean: summary.mean });
  for (const [place, id] of ['v0', 'v1'].entries()) {
    const predicted = await readVolume(join(folder, `${id}.nii.gz`));
    const image = await readVolume(join(data, `imagesTr/${id}_0000.nii.gz`));
    expect(predicted.geometry).toEqual(image.geometry);
    const { TP, FP, FN, TN, n_pred } = summary.metric_per_case[place].metrics['1'];
    expect(predicted.data.filter((value) => value === 1).length).toBe(n_pred);
    expect(TP + FP + FN + TN).toBe(image.data.length);
  }
});

test('what it writes is taken as the difficulty of these cases', async () => {
  const { folder } = await score();
  const api = await openTestApp();
  const attributes = { size: { type: 'number', origin: 'measured' } };
  await must(api, 201, 'POST', '/v1/datasets', { name: 'tiny', attributes });
  const path = '/v1/datasets/tiny/versions';
  await must(api, 201, 'POST', path, { reason: 'first' });
  const ids = ['t0', 't1', 't2', 't3', 'v0', 'v1'];
  const lines = ids.map((id) => ({ id, attributes: { size: 1 } }));
  await must(api, 200, 'POST', `${path}/1/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/1/splits/two`, folds);
  const toApp = (async (url: string, init: RequestInit) =>
    await api.app.request(url.replace('http://app', ''), init)) as typeof fetch;
  const service = { ...io, env: { CW_API: 'http://app', CW_TOKEN: api.token }, fetch: toApp };
  const options = ['--version', '1', '--split', 'two', '--attribute', 'dice', '--fold', '0'];
  const file = join(folder, 'summary.json');
  expect(
    await run(['scores', 'push', 'tiny', ...options, '--reason', 'fold 0', file], service),
  ).toBe(0);
  const { items } = await must(api, 200, 'GET', `${path}/1/cases?limit=10`);
  const scored = items.filter((one: any) => 'dice' in one.attributes).map(({ id }: any) => id);
  expect(scored).toEqual(['v0', 'v1']);
});

test('refuses a fold that the model was trained on, unless told', async () => {
  const refused = await score('--fold', '1');
  expect(refused.code).toBe(2);
  expect(refused.said).toContain('trained on fold 0');
  expect((await score('--fold', '1', '--anyway')).code).toBe(0);
});

test.each([
  ['a fold that is not there', ['--fold', '7', '--anyway'], 'there is no fold 7: the split has 2'],
  ['a split that cannot be read', ['--split', 'nowhere.json'], 'nowhere.json cannot be read'],
])('refuses %s', async (_, args, says) => {
  const { code, said: words } = await score(...args);
  expect(code).toBe(2);
  expect(words).toContain(says);
});

test('refuses other labels, other channels and a damaged checkpoint', async () => {
  const other = join(tiny.newFolder(), 'checkpoint.cwc');
  copyFileSync(checkpoint, other);
  const bytes = readFileSync(other);
  bytes[bytes.length - 1] ^= 1;
  writeFileSync(other, bytes);
  const folder = tiny.newFolder();
  const from = (file: string) => ['score', file, '--data', data, '--out', folder];
  expect(await run(from(other), io)).toBe(2);
  expect(said.at(-1)).toContain('damaged');
  const task = JSON.parse(readFileSync(join(data, 'dataset.json'), 'utf8'));
  const withTask = async (changed: object) => {
    writeFileSync(join(data, 'dataset.json'), JSON.stringify({ ...task, ...changed }));
    return await score();
  };
  const labelled = await withTask({ labels: { background: 0, tumour: 1 } });
  expect(labelled).toMatchObject({ code: 2 });
  expect(labelled.said).toContain('background, tumour');
  await withTask({});
});
