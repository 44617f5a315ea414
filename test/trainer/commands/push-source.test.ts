// What push takes besides a sound folder: lines alone, a folder with a broken case, folds of one's
// own, a draft that was begun with other lines. Into the real app, each with a dataset of its own.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { attributesOf } from '../../../trainer/commands/push-source.ts';
import { writePhantomDataset } from '../../../trainer/phantom.ts';
import { openTestApp } from '../../support/app.ts';

const api = await openTestApp();
const work = mkdtempSync(join(tmpdir(), 'counterweight-source-'));
const dir = await writePhantomDataset(join(work, 'raw'), { cases: 12, shape: [8, 16, 16] });
const broken = await writePhantomDataset(join(work, 'broken'), { cases: 12, shape: [8, 16, 16] });
writeFileSync(join(broken, 'labelsTr/phantom_003.nii.gz'), 'no image');

async function cli(...args: string[]) {
  const out: string[] = [];
  const said: string[] = [];
  const io: Io = {
    ...systemIo,
    terminal: false,
    env: { CW_API: 'http://app', CW_TOKEN: api.token },
    out: (line) => out.push(line),
    say: (line) => said.push(line),
    sleep: async () => {},
    fetch: (async (url: string, init: RequestInit) =>
      await api.app.request(url.replace('http://app', ''), init)) as typeof fetch,
  };
  return { code: await run(args, io), out: out.join('\n'), said: said.join('\n') };
}

const push = async (source: string, dataset: string, ...more: string[]) =>
  await cli('push', source, '--dataset', dataset, '--reason', 'test', '--json', ...more);

const scanned = join(work, 'scanned.ndjson');
await cli('scan', dir, '--out', scanned);

const versionsOf = async (dataset: string) =>
  (await api.call('GET', `/v1/datasets/${dataset}/versions`)).body.items.map(
    ({ number, state, caseCount }: any) => [number, state, caseCount],
  );

describe('a file of lines', () => {
  test('becomes a version, with types as they are and five folds', async () => {
    const { code, out } = await push(scanned, 'lines');
    expect([code, JSON.parse(out)]).toEqual([
      0,
      expect.objectContaining({ dataset: 'lines', version: 1, caseCount: 12, folds: 5 }),
    ]);
    const { attributes } = (await api.call('GET', '/v1/datasets/lines')).body;
    expect(attributes.labels).toEqual({ type: 'labels', required: true });
    expect(attributes.quality).toEqual({ type: 'number', required: true });
  });

  test('has the digest of the folder that it was scanned from, given the same schema', async () => {
    const one = JSON.parse((await push(dir, 'folder')).out);
    const other = JSON.parse((await push(dir, 'folder-lines', '--lines', scanned)).out);
    expect(other.digest).toBe(one.digest);
  });

  test('needs a name', async () => {
    const { code, said } = await cli('push', scanned, '--reason', 'test');
    expect([code, said]).toEqual([2, expect.stringContaining('--dataset NAME')]);
  });

  test.each([
    ['{"id": "a", "attributes": {"x": NaN}}', 'line 1'],
    ['{"attributes": {}}', 'a line without an id'],
    ['', 'counterweight scan DIR --out FILE'],
  ])('of %j is a usage failure', async (text, says) => {
    const file = join(work, 'odd.ndjson');
    writeFileSync(file, text);
    const { code, said } = await push(file, 'odd');
    expect([code, said]).toEqual([2, expect.stringContaining(says)]);
  });

  test('attributes that some lines lack are optional; removed cases say nothing of them', () => {
    const lines = [
      { id: 'a', attributes: { site: 'A', scanned: true } },
      { id: 'b', attributes: { site: 'B' } },
      { id: 'c', removed: true },
    ];
    expect(attributesOf(lines)).toEqual({
      site: { type: 'string', required: true },
      scanned: { type: 'boolean', required: false },
    });
  });
});

describe('a folder with a broken case', () => {
  test('is not uploaded, and the case is named', async () => {
    const { code, said } = await push(broken, 'broken');
    expect([code, said]).toEqual([1, expect.stringMatching(/phantom_003: .*not a NIfTI file/)]);
    expect(said).toContain('--allow-faults');
    expect((await api.call('GET', '/v1/datasets/broken')).status).toBe(404);
  });

  test('goes up without it, in cases and in folds, when that is allowed', async () => {
    const { code, out, said } = await push(broken, 'broken', '--allow-faults');
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ caseCount: 11 })]);
    expect(said).toContain('left out: phantom_003');
  });

  test('is the same with the lines of an earlier scan', async () => {
    const lines = join(work, 'broken.ndjson');
    expect((await cli('scan', broken, '--out', lines)).code).toBe(1);
    const refused = await push(broken, 'broken-lines', '--lines', lines);
    expect([refused.code, refused.said]).toEqual([1, expect.stringContaining('phantom_003')]);
    expect((await push(broken, 'broken-lines', '--lines', lines, '--allow-faults')).code).toBe(0);
  });
});

test('folds of a file are put; one that names an unknown case is refused with its name', async () => {
  const ids = readFileSync(scanned, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).id as string);
  const splits = join(work, 'splits.json');
  writeFileSync(
    splits,
    JSON.stringify([{ train: ids.slice(2), val: [...ids.slice(0, 2), 'who'] }]),
  );
  const refused = await push(scanned, 'folds', '--splits', splits);
  expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('who')]);
  writeFileSync(splits, JSON.stringify([{ train: ids.slice(2), val: ids.slice(0, 2) }]));
  const { code, out, said } = await push(scanned, 'folds', '--splits', splits);
  expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ version: 1, folds: 1 })]);
  expect(said).toContain('going on with version 1, a draft');
});

test('a draft begun with other lines stops the upload; --discard-draft starts over', async () => {
  const [first, ...rest] = readFileSync(scanned, 'utf8').trimEnd().split('\n');
  expect((await push(scanned, 'draft')).code).toBe(0);
  await api.call('POST', '/v1/datasets/draft/versions', { reason: 'begun' });
  await api.send('POST', '/v1/datasets/draft/versions/2/cases', `${first}\n`, {
    'content-type': 'application/x-ndjson',
    'upload-part': '1',
  });
  const others = join(work, 'others.ndjson');
  writeFileSync(others, rest.join('\n'));
  const refused = await push(others, 'draft');
  expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('--discard-draft')]);
  expect((await push(others, 'draft', '--discard-draft')).code).toBe(0);
  expect((await versionsOf('draft')).slice(0, 2)).toEqual([
    [3, 'committed', 11],
    [2, 'discarded', null],
  ]);
});

test.each([
  ['push', 'push'],
  ['scan', 'scan'],
])('%s of a folder that is not there says so', async (command) => {
  const missing = join(work, 'nothing');
  const args = command === 'push' ? [missing, '--reason', 'x', '--dataset', 'x'] : [missing];
  const { code, said } = await cli(command, ...args);
  expect(code).not.toBe(0);
  expect(said).toContain(missing);
});

test('scan refuses a file that cannot be written before it measures anything', async () => {
  const { code, said } = await cli('scan', dir, '--out', join(work, 'no/such/folder/x'));
  expect([code, said]).toEqual([2, expect.stringContaining('cannot be written')]);
});
