// The history of a rule set and copies to other datasets over HTTP: each version with what it
// changed, and every attribute that does not fit at once.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { attributes, must, rules } from '../support/builders.ts';

let api: TestApp;
const path = '/v1/datasets/liver/rule-sets';
beforeAll(async () => {
  api = await openTestApp();
  await must(api, 201, 'POST', '/v1/datasets', { name: 'liver', attributes });
});

const add = (name: string, document: unknown, reason = 'x') =>
  must(api, 201, 'POST', path, { name, rules: document, reason });
const capped = (cap: number) => ({ ...rules, sampling: { ...rules.sampling, cap } });

describe('the history of a rule set', () => {
  test('lists its versions newest first, each with its diff to the one before', async () => {
    const first = await add('r', rules, 'lesions are rare');
    await add('other', {}, 'of another name');
    const second = await add('r', capped(3), 'noisy loss');
    const { items, nextCursor } = await must(api, 200, 'GET', `${path}/r/history`);
    expect(nextCursor).toBeNull();
    const { rules: _, ...stored } = second;
    expect(items).toEqual([
      { ...stored, change: expect.any(String) },
      expect.objectContaining({ version: 1, digest: first.digest, change: null }),
    ]);
    expect(items.map(({ reason }: any) => reason)).toEqual(['noisy loss', 'lesions are rare']);
    const changed = items[0].change.split('\n').filter((line: string) => /^[-+]/.test(line));
    expect(changed).toEqual(['--- r@1', '+++ r@2', '-    "cap": 5', '+    "cap": 3']);
  });

  test('has an empty diff where two versions say the same', async () => {
    await add('same', rules);
    await add('same', { ...rules, schedule: null });
    const { items } = await must(api, 200, 'GET', `${path}/same/history`);
    expect(items.map(({ change }: any) => change)).toEqual(['', null]);
    expect(items[0].digest).toBe(items[1].digest);
  });

  test('comes in pages that lose no diff at their edges', async () => {
    for (const cap of [2, 3, 4, 5, 6]) await add('long', capped(cap));
    const all = (await must(api, 200, 'GET', `${path}/long/history`)).items;
    const paged = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query = `limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const page: any = await must(api, 200, 'GET', `${path}/long/history?${query}`);
      paged.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(all);
    expect(all.map(({ version }: any) => version)).toEqual([5, 4, 3, 2, 1]);
    expect(all[0].change).toContain('+    "cap": 6');
  });

  test('of a name that is not there is 404', async () => {
    const answer = await api.call('GET', `${path}/nothing/history`);
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain('no rule set "nothing"');
  });
});

describe('a copy', () => {
  const copy = (dataset: string, body: object) =>
    api.call('POST', `/v1/datasets/${dataset}/rule-sets/copy`, { reason: 'as in liver', ...body });

  test('is the next version of a name in the other dataset, with the same digest', async () => {
    const source = await add('shared', rules);
    await must(api, 201, 'POST', '/v1/datasets', { name: 'spleen', attributes });
    const copiedFrom = { dataset: 'liver', name: 'shared', version: 1, digest: source.digest };
    const first = await copy('spleen', { from: 'liver/shared@1' });
    expect(first).toEqual({
      status: 201,
      body: {
        ...source,
        id: expect.not.stringMatching(source.id),
        reason: 'as in liver',
        copiedFrom,
      },
    });
    const from = { dataset: 'liver', ruleSet: 'shared' };
    const second = await copy('spleen', { from, name: 'shared' });
    expect(second.body).toMatchObject({ version: 2, digest: source.digest });
    const named = await copy('spleen', { from, name: 'mine' });
    expect(named.body).toMatchObject({ name: 'mine', version: 1 });
    const stored = await must(api, 200, 'GET', '/v1/datasets/spleen/rule-sets/shared@1');
    expect({ ...stored, copiedFrom }).toEqual(first.body);
    const [entry] = (await must(api, 200, 'GET', '/v1/audit?action=rule-set.copied')).items;
    expect(entry).toMatchObject({
      subject: `rule-set/${first.body.id}`,
      reason: 'as in liver',
      detail: { dataset: 'spleen', name: 'shared', version: 1, digest: source.digest, copiedFrom },
    });
  });

  test('within one dataset brings an older version back', async () => {
    const old = await add('back', capped(2));
    await add('back', capped(4));
    const { body } = await copy('liver', { from: 'liver/back@1' });
    expect(body).toMatchObject({ version: 3, digest: old.digest });
  });

  test('is refused with every attribute that does not fit, and stores nothing', async () => {
    await add('wide', {
      ...rules,
      sampling: {
        terms: [
          ...rules.sampling.terms,
          { name: 'small', kind: 'formula', expression: 'case.lesionMl' },
        ],
      },
    });
    const other = {
      site: { type: 'boolean', origin: 'entered' },
      quality: { type: 'number', origin: 'entered' },
      lesionMl: { type: 'number', unit: 'mm3', required: false, origin: 'measured' },
    };
    await must(api, 201, 'POST', '/v1/datasets', { name: 'kidney', attributes: other });
    const answer = await copy('kidney', { from: 'liver/wide@1' });
    expect(answer.status).toBe(422);
    const details = answer.body.errors.map(({ detail }: any) => detail);
    expect(details.sort()).toEqual([
      'attribute "lesionMl": its unit is mm3 here and ml there',
      'attribute "quality": its origin is entered here and measured there',
      'attribute "site": its type is boolean here and string there',
      'no attribute "labels" is declared for this dataset',
    ]);
    expect((await must(api, 200, 'GET', '/v1/datasets/kidney/rule-sets')).items).toEqual([]);
  });

  test.each([
    ['a dataset that is not there', { from: 'nothing/r@1' }, 404, 'no dataset "nothing"'],
    ['a version that is not there', { from: 'liver/shared@9' }, 404, 'no rule set "shared@9"'],
    ['a source without a dataset', { from: 'shared@1' }, 422, 'dataset/name@version'],
    ['no reason', { from: 'liver/shared@1', reason: '' }, 422, 'say why'],
    ['a bad name', { from: 'liver/shared@1', name: 'a b' }, 422, '/name'],
  ])('from %s is refused', async (_, body, status, says) => {
    const answer = await copy('liver', body);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toContain(says);
  });
});
