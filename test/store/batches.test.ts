// The same folds frozen at once in several orders, alone and together, on a real Postgres: nobody
// waits in a circle, and each fold is one snapshot.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { freezeSources, prepareFold } from '../../api/services/snapshots/prepare.ts';
import { insertSnapshots } from '../../api/store/snapshots.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, must, rules } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

describe.skipIf(noPostgres())('folds frozen at the same time', () => {
  let postgres: TestPostgres;
  let api: TestApp;
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openTestApp({ database: postgres.database });
  });
  afterAll(() => postgres?.stop());

  test.each([1, 2, 3])('give one snapshot each, whoever asked first (round %d)', async (round) => {
    const name = `round-${round}`;
    await committedDataset(api, { name });
    const ruleSet = { name: 'rare', rules, reason: 'lesions are rare' };
    await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, ruleSet);
    const path = `/v1/datasets/${name}/snapshots`;
    const input = { version: 1, split: 'five-fold', ruleSet: 'rare@1', reason: 'at once' };
    const asked = [
      { folds: [0, 1, 2, 3] },
      { folds: [3, 2, 1, 0] },
      { fold: 2 },
      { folds: [1, 3, 0, 2] },
      { fold: 0 },
    ];
    const answers = await Promise.all(
      asked.map((folds) => api.call('POST', path, { ...input, ...folds })),
    );
    expect(answers.filter(({ status }) => status !== 200 && status !== 201)).toEqual([]);
    const { items } = await must(api, 200, 'GET', path);
    expect(items.map(({ header }: any) => header.fold).sort()).toEqual([0, 1, 2, 3]);
    const digestOf = new Map(items.map((one: any) => [one.header.fold, one.digest]));
    for (const { body } of answers) {
      for (const one of body.items ?? [body])
        expect(one.digest).toBe(digestOf.get(one.header.fold));
    }
    const audit = await must(api, 200, 'GET', '/v1/audit?action=snapshot.frozen&limit=500');
    const frozen = audit.items.filter(({ detail }: any) => detail.dataset === name);
    expect(frozen).toHaveLength(4);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('that were all prepared before the first was stored do not wait in a circle', async () => {
    await committedDataset(api, { name: 'circle' });
    const ruleSet = { name: 'rare', rules, reason: 'lesions are rare' };
    await must(api, 201, 'POST', '/v1/datasets/circle/rule-sets', ruleSet);
    const actor = await actorOfToken(api.deps, api.token);
    const input = { version: 1, split: 'five-fold', ruleSet: 'rare@1', reason: 'at once' };
    const sources = await freezeSources(api.deps, actor, { ...input, dataset: 'circle' });
    const prepare = async (fold: number) => {
      const one = await prepareFold(api.deps, actor, { sources, input: { ...input, fold } });
      if (one.stored !== null) throw new Error('stored before');
      return one;
    };
    const orders = [
      [0, 1, 2, 3, 4],
      [4, 3, 2, 1, 0],
      [2, 0, 4, 1, 3],
    ];
    const batches = await Promise.all(orders.map((order) => Promise.all(order.map(prepare))));
    const stored = await Promise.all(
      batches.map((batch) =>
        insertSnapshots(
          postgres.database.orm,
          batch.map(({ made }) => made),
          batch.map(({ entry }) => entry),
        ),
      ),
    );
    expect(stored.flat().filter((row) => row !== null)).toHaveLength(5);
  });
});
