// The same folds frozen at once in several orders, alone and together, on a real Postgres: nobody
// waits in a circle, and each fold is one snapshot.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
});
