// Datasets, versions, cases and splits over HTTP: what is stored, and what bad input must not
// store.

import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import {
  attributes,
  caseLines,
  committedDataset,
  foldsOf,
  must,
  ndjsonOf,
} from '../support/builders.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

async function draft(name: string) {
  await must(api, 201, 'POST', '/v1/datasets', { name, attributes });
  await must(api, 201, 'POST', `/v1/datasets/${name}/versions`, { reason: 'import' });
  return `/v1/datasets/${name}/versions/1`;
}

const storedIds = async (path: string) =>
  (await must(api, 200, 'GET', `${path}/cases?limit=500`)).items.map(
    ({ id }: { id: string }) => id,
  );

describe('datasets', () => {
  test('creates a dataset once and finds it by name and by id', async () => {
    const body = { name: 'liver', description: 'CT', attributes };
    const created = await api.call('POST', '/v1/datasets', body);
    expect(created.status).toBe(201);
    expect((await api.call('GET', '/v1/datasets/liver')).body).toEqual(created.body);
    expect((await api.call('GET', `/v1/datasets/${created.body.id}`)).body).toEqual(created.body);
    const again = await api.call('POST', '/v1/datasets', body);
    expect(again.status).toBe(409);
    expect(again.body.detail).toContain('"liver" is there already');
  });

  test('refuses an attribute name that no expression could read, and stores nothing', async () => {
    const body = { name: 'bad', attributes: { 'lesion volume': { type: 'number' } } };
    const answer = await api.call('POST', '/v1/datasets', body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toContain('/attributes');
    expect((await api.call('GET', '/v1/datasets/bad')).status).toBe(404);
  });

  test('adds an attribute but never changes one', async () => {
    await must(api, 201, 'POST', '/v1/datasets', { name: 'grows', attributes });
    const path = '/v1/datasets/grows/attributes/age';
    const added = await api.call('PUT', path, { type: 'number', unit: 'a', required: false });
    expect(added.status).toBe(200);
    expect(added.body.attributes.age.unit).toBe('a');
    const changed = await api.call('PUT', path, { type: 'string', required: false });
    expect(changed.status).toBe(409);
  });
});

describe('uploading cases', () => {
  test('stores gzip and plain NDJSON alike and streams them back in id order', async () => {
    const path = await draft('zipped');
    const lines = caseLines(30);
    const zipped = gzipSync(ndjsonOf(lines.slice(0, 20)));
    const first = await api.send('POST', `${path}/cases`, zipped, { 'content-encoding': 'gzip' });
    expect(await first.json()).toEqual({ received: 20, inserted: 20, updated: 0, removed: 0 });
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines.slice(20).reverse()));
    const streamed = await api.send('GET', `${path}/cases`, undefined, {
      accept: 'application/x-ndjson',
    });
    const read = (await streamed.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(read).toEqual(lines);
  });

  test('changes and removes cases of a draft, counting each once', async () => {
    const path = await draft('edited');
    const lines = caseLines(4);
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
    const edited = { ...lines[1], attributes: { ...lines[1].attributes, site: 'C' } };
    const body = ndjsonOf([lines[0], edited, { id: lines[2].id, removed: true }]);
    const answer = await must(api, 200, 'POST', `${path}/cases`, body);
    expect(answer).toEqual({ received: 3, inserted: 0, updated: 1, removed: 1 });
    expect(await storedIds(path)).toEqual([lines[0].id, lines[1].id, lines[3].id]);
  });

  const [good, other] = caseLines(2);
  const badLines: [string, string, string][] = [
    ['a NaN attribute', '{"id":"x","attributes":{"quality":NaN}}', 'NaN is not JSON'],
    ['a missing required attribute', '{"id":"x","attributes":{"site":"A","labels":[]}}', 'quality'],
    [
      'an attribute of another type',
      JSON.stringify({ ...good, id: 'x', attributes: { ...good.attributes, quality: 'high' } }),
      'quality',
    ],
    [
      'an undeclared attribute',
      JSON.stringify({ ...good, id: 'x', attributes: { ...good.attributes, qualty: 1 } }),
      'qualty',
    ],
    ['a duplicate id', JSON.stringify(good), 'stands on line 1'],
    ['a control character in an id', JSON.stringify({ ...good, id: 'a\u0007b' }), 'id'],
    ['no JSON at all', 'case_1,0.5', 'not a JSON object'],
  ];
  test.each(badLines)(
    'refuses %s by line and stores nothing of the part',
    async (what, line, says) => {
      const path = await draft(`refuses-${what.replaceAll(' ', '-')}`);
      const body = `${JSON.stringify(good)}\n${JSON.stringify(other)}\n${line}\n`;
      const answer = await api.call('POST', `${path}/cases`, body);
      expect(answer.status).toBe(422);
      expect(answer.body.errors[0].line).toBe(3);
      expect(answer.body.errors[0].detail).toContain(says);
      expect(await storedIds(path)).toEqual([]);
    },
  );

  test('names every bad line of a part up to a hundred', async () => {
    const path = await draft('many-faults');
    const answer = await api.call('POST', `${path}/cases`, 'nonsense\n'.repeat(150));
    expect(answer.body.errors).toHaveLength(100);
    expect(answer.body.errors[99].line).toBe(100);
  });

  test('repeats a part without storing it twice, and refuses another body under its number', async () => {
    const path = await draft('parts');
    const lines = caseLines(6);
    const first = { 'upload-part': '1' };
    const body = ndjsonOf(lines.slice(0, 3));
    const stored = await api.call('POST', `${path}/cases`, body, first);
    expect(stored.body.inserted).toBe(3);
    const again = await api.call('POST', `${path}/cases`, body, first);
    expect(again).toEqual(stored);
    const changed = await api.call('POST', `${path}/cases`, ndjsonOf(lines.slice(3)), first);
    expect(changed.status).toBe(409);
    expect(await storedIds(path)).toHaveLength(3);
  });

  test('refuses a damaged gzip body and stores nothing', async () => {
    const path = await draft('damaged');
    const zipped = gzipSync(ndjsonOf(caseLines(2000)));
    const answer = await api.call('POST', `${path}/cases`, zipped.subarray(0, zipped.length / 2));
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain('gzip');
    expect(await storedIds(path)).toEqual([]);
  });
});

describe('versions', () => {
  test('commits to the same digest whatever the order of upload', async () => {
    const lines = caseLines(12);
    const folds = foldsOf(lines.map((line) => line.id));
    const digests = [];
    for (const [name, order] of [
      ['forth', lines],
      ['back', [...lines].reverse()],
    ] as const) {
      const path = await draft(name);
      await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([...order]));
      await must(api, 200, 'PUT', `${path}/splits/five-fold`, folds);
      digests.push((await must(api, 200, 'POST', `${path}/commit`, { reason: 'ok' })).digest);
    }
    expect(digests[0]).toBe(digests[1]);
  });

  test("gives a split back as it was put: nnU-Net's own file", async () => {
    const lines = caseLines(6);
    const ids = lines.map((line) => line.id);
    const path = await draft('both-ways');
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
    const folds = [
      { train: [ids[4], ids[0], ids[2]], val: [ids[5], ids[1]] },
      { train: [ids[3]], val: ids.slice(0, 3) },
    ];
    await must(api, 200, 'PUT', `${path}/splits/mine`, folds);
    expect(await must(api, 200, 'GET', `${path}/splits/mine`)).toEqual(folds);
    const none = await api.call('GET', `${path}/splits/other`);
    expect([none.status, none.body.detail]).toEqual([404, expect.stringContaining('"other"')]);
  });

  test('takes nothing more once committed', async () => {
    const { name } = await committedDataset(api, { name: 'closed', count: 10 });
    const path = `/v1/datasets/${name}/versions/1`;
    const upload = await api.call('POST', `${path}/cases`, ndjsonOf(caseLines(1)));
    expect(upload.status).toBe(409);
    expect(upload.body.detail).toContain('Open a new version');
    expect((await api.call('POST', `${path}/commit`, { reason: 'again' })).status).toBe(409);
  });

  test('starts a version from its base and keeps the older one as it was', async () => {
    const { name, lines } = await committedDataset(api, { name: 'grown', count: 10 });
    const path = `/v1/datasets/${name}/versions`;
    await must(api, 201, 'POST', path, { base: 1, reason: 'one case was wrong' });
    const changed = { ...lines[3], attributes: { ...lines[3].attributes, site: 'Z' } };
    const upload = ndjsonOf([changed, { ...lines[0], id: 'new_case' }]);
    const answer = await must(api, 200, 'POST', `${path}/2/cases`, upload);
    expect(answer).toEqual({ received: 2, inserted: 1, updated: 1, removed: 0 });
    const committed = await must(api, 200, 'POST', `${path}/2/commit`, { reason: 'ok' });
    expect(committed).toMatchObject({ number: 2, caseCount: 11, splits: { 'five-fold': 5 } });
    expect(await storedIds(`${path}/1`)).toHaveLength(10);
    const before = (await must(api, 200, 'GET', `${path}/1/cases`)).items;
    expect(before.find(({ id }: { id: string }) => id === lines[3].id).attributes.site).not.toBe(
      'Z',
    );
  });

  test('discards a draft without a trace in its base', async () => {
    const { name, lines } = await committedDataset(api, { name: 'regretted', count: 10 });
    const path = `/v1/datasets/${name}/versions`;
    await must(api, 201, 'POST', path, { base: 1, reason: 'try' });
    await must(api, 200, 'POST', `${path}/2/cases`, ndjsonOf([{ id: lines[0].id, removed: true }]));
    expect((await api.call('DELETE', `${path}/2`)).status).toBe(204);
    expect(await storedIds(`${path}/1`)).toHaveLength(10);
    const next = await must(api, 201, 'POST', path, { base: 1, reason: 'again' });
    expect(next.number).toBe(3);
    expect(await storedIds(`${path}/3`)).toHaveLength(10);
  });

  test('refuses to commit when a split names a case that was removed since', async () => {
    const path = await draft('stray');
    const lines = caseLines(10);
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
    await must(api, 200, 'PUT', `${path}/splits/s`, foldsOf(lines.map((line) => line.id)));
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([{ id: lines[4].id, removed: true }]));
    const answer = await api.call('POST', `${path}/commit`, { reason: 'ok' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].caseId).toBe(lines[4].id);
  });
});

test('never gives the ordinal of a removed case to another one', async () => {
  const path = await draft('ordinals');
  const lines = caseLines(10);
  await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/splits/s`, foldsOf(lines.map((line) => line.id)));
  const last = lines[9];
  const removed = { id: last.id, removed: true };
  await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([removed]));
  await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([{ ...last, id: 'another' }]));
  const answer = await api.call('POST', `${path}/commit`, { reason: 'ok' });
  expect(answer.body.errors[0].caseId).toBe(last.id);
  await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([last]));
  expect(await storedIds(path)).toContain(last.id);
  await must(api, 200, 'POST', `${path}/commit`, { reason: 'ok' });
});

describe('splits', () => {
  test.each([
    [
      'an unknown case',
      [{ train: ['case_0000', 'ghost'], val: ['case_0001'] }],
      '/0/train/1',
      'ghost',
    ],
    ['an empty side', [{ train: ['case_0000'], val: [] }], '/0/val', 'no cases'],
    ['a case on both sides', [{ train: ['case_0000'], val: ['case_0000'] }], '/0/val/0', 'already'],
    ['no folds', [], '', 'at least one fold'],
  ])('refuses %s by pointer and stores nothing', async (what, folds, pointer, says) => {
    const path = await draft(`split-${what.replaceAll(' ', '-')}`);
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(caseLines(3)));
    const answer = await api.call('PUT', `${path}/splits/s`, folds);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe(pointer);
    expect(answer.body.errors[0].detail).toContain(says);
    expect((await must(api, 200, 'GET', path)).splits).toEqual({});
  });
});
