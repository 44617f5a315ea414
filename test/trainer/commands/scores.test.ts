// Validation summaries pushed into the real app from files: which fold each goes to, and what is
// said of a refusal.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp, type TestApp } from '../../support/app.ts';
import { committedDataset, must } from '../../support/builders.ts';
import { summaryText } from '../../support/summaries.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-scores-'));
let api: TestApp;
let files: string[];
let folds: { val: string[] }[];
let io: Io;
let out: string[];
let said: string[];
beforeAll(async () => {
  api = await openTestApp();
  folds = (await committedDataset(api, { count: 10 })).folds;
  await must(api, 201, 'POST', '/v1/datasets/phantom/versions', { base: 1, reason: 'scores' });
  files = folds.map(({ val }, fold) => {
    const file = join(folder, `summary_${fold}.json`);
    const dice = (k: number) => [fold === 3 && k === 0 ? null : 0.5 + fold / 10 + k / 100];
    const cases = Object.fromEntries(val.map((id, k) => [id, dice(k)]));
    writeFileSync(file, summaryText(cases));
    return file;
  });
  const toApp = (async (url: string, init: RequestInit) =>
    await api.app.request(url.replace('http://app', ''), init)) as typeof fetch;
  out = [];
  said = [];
  io = {
    ...systemIo,
    env: { CW_API: 'http://app', CW_TOKEN: api.token },
    fetch: toApp,
    sleep: async () => {},
    out: (line) => out.push(line),
    say: (line) => said.push(line),
  };
});

const push = async (attribute: string, ...rest: string[]) => {
  out.length = 0;
  said.length = 0;
  const options = ['--version', '2', '--split', 'five-fold', '--attribute', attribute];
  return await run(['scores', 'push', 'phantom', ...options, '--reason', 'run 7', ...rest], io);
};
const valuesOf = async (attribute: string) =>
  (await must(api, 200, 'GET', '/v1/datasets/phantom/versions/2/cases?limit=500')).items
    .filter(({ attributes }: any) => attribute in attributes)
    .map(({ id, attributes }: any) => [id, attributes[attribute]]);

test('pushes a summary a fold in their order, and says what has no Dice', async () => {
  expect(await push('dice', '--model', 'nnU-Net 7', ...files)).toBe(0);
  expect(said).toEqual([
    'fold 0: 2 cases scored',
    'fold 1: 2 cases scored',
    'fold 2: 2 cases scored',
    `fold 3: 1 cases scored, 1 without a Dice: ${folds[3].val[0]}`,
    'fold 4: 2 cases scored',
  ]);
  expect(await valuesOf('dice')).toHaveLength(9);
  const { attributes } = await must(api, 200, 'GET', '/v1/datasets/phantom');
  expect(attributes.dice.origin.model).toBe('nnU-Net 7');
});

test('answers JSON alone on stdout, and takes the fold of one summary', async () => {
  expect(await push('one', '--fold', '2', '--json', files[2])).toBe(0);
  expect(out).toHaveLength(1);
  expect(JSON.parse(out[0])).toMatchObject({ dataset: 'phantom', folds: [{ fold: 2, scored: 2 }] });
  expect(await valuesOf('one')).toEqual([
    [folds[2].val[0], 0.7],
    [folds[2].val[1], 0.71],
  ]);
});

test('is refused with the cases where the folds are in another order', async () => {
  expect(await push('wrong', files[1], files[0])).toBe(3);
  expect(said.join('\n')).toContain(`case "${folds[1].val[0]}" is not on the validation side`);
  expect(await valuesOf('wrong')).toEqual([]);
});

test('sends nothing where a file is missing or --fold fits no single file', async () => {
  expect(await push('none', files[0], join(folder, 'nothing.json'))).toBe(2);
  expect(said[0]).toContain('nothing.json');
  expect(await push('none', '--fold', '1', files[0], files[1])).toBe(2);
  expect(said[0]).toContain('--fold 1 goes with one summary');
  expect(await valuesOf('none')).toEqual([]);
});
