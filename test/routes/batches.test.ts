// Several folds with one request: snapshots that are all frozen or none, jobs that are all launched
// or none.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { freezeFolds } from '../../api/services/snapshots/freeze.ts';
import { committedDataset, must, rules } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const input = { version: 1, split: 'five-fold', ruleSet: 'rare@1', reason: 'every fold' };
const pathOf = (name: string) => `/v1/datasets/${name}/snapshots`;

async function dataset(name: string, ruleDocument: unknown = rules) {
  await committedDataset(api, { name });
  const body = { name: 'rare', rules: ruleDocument, reason: 'lesions are rare' };
  await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, body);
}

const freeze = (name: string, body: object) =>
  api.call('POST', pathOf(name), { ...input, ...body });
const storedOf = async (name: string) => (await must(api, 200, 'GET', pathOf(name))).items;
const frozenEntries = async (name: string) => {
  const { items } = await must(api, 200, 'GET', '/v1/audit?action=snapshot.frozen&limit=500');
  return items.filter(({ detail }: any) => detail.dataset === name);
};

describe('freezing several folds', () => {
  test('answers one batch in the order asked for, each fold as it is alone', async () => {
    await dataset('several');
    const made = await freeze('several', { folds: [3, 0, 'all'] });
    expect(made.status).toBe(201);
    const { batch, items } = made.body;
    expect(items.map((one: any) => [one.header.fold, one.batch])).toEqual([
      [3, batch],
      [0, batch],
      ['all', batch],
    ]);
    for (const one of items) {
      expect(await must(api, 200, 'GET', `/v1/snapshots/${one.digest}`)).toEqual(one);
      const alone = await freeze('several', { fold: one.header.fold });
      expect(alone).toEqual({ status: 200, body: one });
    }
    await dataset('alone');
    const alone = await freeze('alone', { fold: 3 });
    expect(alone.body.diagnostics).toEqual(items[0].diagnostics);
    expect((await frozenEntries('several')).map(({ subject }: any) => subject)).toEqual(
      items.map(({ digest }: any) => `snapshot/${digest}`),
    );
  });

  test('lists a batch by its id, and nothing under another', async () => {
    await dataset('listed');
    await freeze('listed', { fold: 4 });
    const { batch, items } = (await freeze('listed', { folds: [0, 1] })).body;
    const list = await must(api, 200, 'GET', `${pathOf('listed')}?batch=${batch}`);
    expect(list).toEqual({ items, nextCursor: null });
    const page = await must(api, 200, 'GET', `${pathOf('listed')}?batch=${batch}&limit=1`);
    const next = `${pathOf('listed')}?batch=${batch}&cursor=${page.nextCursor}`;
    expect([...page.items, ...(await must(api, 200, 'GET', next)).items]).toEqual(items);
    expect((await must(api, 200, 'GET', `${pathOf('listed')}?batch=other`)).items).toEqual([]);
    expect(await storedOf('listed')).toHaveLength(3);
  });

  test('again gives the same; folds that were there are answered as they are', async () => {
    await dataset('again');
    const alone = (await freeze('again', { fold: 1 })).body;
    const first = await freeze('again', { folds: [0, 1] });
    expect([first.status, first.body.items[1], alone.batch]).toEqual([201, alone, null]);
    const second = await freeze('again', { folds: [0] });
    expect(second).toEqual({
      status: 200,
      body: { batch: first.body.batch, items: [first.body.items[0]] },
    });
    const mixed = await freeze('again', { folds: [0, 1] });
    expect(mixed).toEqual({ status: 200, body: { batch: null, items: first.body.items } });
    expect(await frozenEntries('again')).toHaveLength(2);
  });

  test('stores none where one fold is refused, and names the fold', async () => {
    await dataset('none');
    const refused = await freeze('none', { folds: [0, 9, 1] });
    expect([refused.status, refused.body.detail]).toEqual([
      404,
      expect.stringContaining('Fold 9, and so none: '),
    ]);
    expect(refused.body.errors[0].pointer).toBe('/folds/1');
    expect(await storedOf('none')).toEqual([]);
    expect(await frozenEntries('none')).toEqual([]);
  });

  test('stores none where the effective fraction of one fold is low, unless accepted', async () => {
    // Every lesion is validated in fold 0: only the others train on few cases.
    const expression = "'lesion' in case.labels ? 1000.0 : 0.001";
    const terms = [{ name: 'one', kind: 'formula', expression }];
    await dataset('low', { sampling: { terms, floor: 0.01, cap: 100 } });
    const refused = await freeze('low', { folds: [0, 1] });
    expect([refused.status, refused.body.errors.map(({ pointer }: any) => pointer)]).toEqual([
      422,
      ['/folds/1', '/acceptLowEffective'],
    ]);
    expect(refused.body.detail).toContain('Fold 1, and so none: ');
    expect(await storedOf('low')).toEqual([]);
    const taken = await freeze('low', { folds: [0, 1], acceptLowEffective: true });
    expect(taken.status).toBe(201);
  });

  test('stores none where a case is withdrawn meanwhile', async () => {
    await dataset('meanwhile');
    const gone = { caseId: 'case_0001', reason: 'consent' };
    const withdraw = () => must(api, 201, 'POST', '/v1/datasets/meanwhile/withdrawals', gone);
    const actor = await actorOfToken(api.deps, api.token);
    const asked = { ...input, dataset: 'meanwhile', folds: [1, 0] };
    await expect(
      freezeFolds(withMeanwhile(api.deps, withdraw), actor, asked),
    ).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('fold 0 was withdrawn while'),
    });
    expect(await storedOf('meanwhile')).toEqual([]);
    expect(await frozenEntries('meanwhile')).toEqual([]);
    const { items } = await freezeFolds(api.deps, actor, asked);
    expect(items.map(({ header }) => header.fold)).toEqual([1, 0]);
  });

  test('answers those that another request froze meanwhile', async () => {
    await dataset('both');
    const actor = await actorOfToken(api.deps, api.token);
    let other: any;
    const deps = withMeanwhile(api.deps, async () => {
      other = (await freeze('both', { fold: 1 })).body;
    });
    const { batch, items } = await freezeFolds(deps, actor, {
      ...input,
      dataset: 'both',
      folds: [0, 1],
    });
    expect([items[0].batch, items[1]]).toEqual([batch, other]);
    expect(await frozenEntries('both')).toHaveLength(2);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('is asked for with either fold or folds, and each fold once', async () => {
    await dataset('asked');
    for (const [body, pointer] of [
      [{}, '/fold'],
      [{ fold: 0, folds: [1] }, '/fold'],
      [{ folds: [] }, '/folds'],
      [{ folds: [1, 1] }, '/folds'],
      [{ folds: [-1] }, '/folds/0'],
    ] as const) {
      const refused = await freeze('asked', body);
      expect([body, refused.status, refused.body.errors?.[0].pointer]).toEqual([
        body,
        422,
        pointer,
      ]);
    }
    const unknown = await freeze('asked', { folds: [0], ruleSet: 'gone@1' });
    expect([unknown.status, unknown.body.detail]).toEqual([
      404,
      expect.not.stringContaining('Fold'),
    ]);
  });
});
