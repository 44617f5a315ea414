// What a diff of snapshots does not do: name more than 1,000 cases a side, or explain a number that
// was altered behind the triggers.

import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { openTestApp } from '../support/app.ts';
import { committedDataset, frozenSnapshot, must, rules } from '../support/builders.ts';

const path = '/v1/datasets/phantom';

test('at most 1,000 cases are named on each side, and all are counted', async () => {
  // Two chunks of cases on one side, one on the other.
  const large = await openTestApp();
  await committedDataset(large, { count: 9_000 });
  const body = { name: 'even', rules: {}, reason: 'x' };
  await must(large, 201, 'POST', `${path}/rule-sets`, body);
  const excluded = { exclude: [{ name: 'low', when: 'case.quality < 0.5' }] };
  await must(large, 201, 'POST', `${path}/rule-sets`, {
    name: 'few',
    rules: excluded,
    reason: 'x',
  });
  const [all, few] = await Promise.all(
    ['even@1', 'few@1'].map((ruleSet) =>
      must(large, 201, 'POST', `${path}/snapshots`, {
        version: 1,
        split: 'five-fold',
        fold: 'all',
        ruleSet,
        reason: 'x',
      }),
    ),
  );
  const gone = few.excluded.map(({ id }: any) => id);
  expect(gone.length).toBeGreaterThan(1_000);
  const found = await must(large, 200, 'GET', `/v1/snapshots/${all.digest}/diff/${few.digest}`);
  expect(found).toMatchObject({
    added: [],
    addedCount: 0,
    removed: gone.slice(0, 1_000),
    removedCount: gone.length,
  });
  const back = await must(large, 200, 'GET', `/v1/snapshots/${few.digest}/diff/${all.digest}`);
  expect(back).toMatchObject({ added: gone.slice(0, 1_000), addedCount: gone.length, removed: [] });
  expect(found.largestMoves[0].id).toBe(gone[0]);
  expect(found.largestMoves[0].because).toContain('low: case.quality < 0.5');
});

test('a number that was altered behind the triggers is found, not explained', async () => {
  const altered = await openTestApp();
  const { snapshot } = await frozenSnapshot(altered);
  const name = { name: 'flat', rules: { ...rules, sampling: {} }, reason: 'x' };
  await must(altered, 201, 'POST', `${path}/rule-sets`, name);
  const body = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'flat@1', reason: 'x' };
  const second = await must(altered, 201, 'POST', `${path}/snapshots`, body);
  const { orm } = altered.database;
  await orm.execute(sql`alter table snapshot_chunks disable trigger all`);
  await orm.execute(
    sql`update snapshot_chunks set draw_units[4] = draw_units[4] * 3 where snapshot_id = ${second.id}`,
  );
  const answer = await altered.call('GET', `/v1/snapshots/${snapshot.id}/diff/${second.id}`);
  expect(answer.status).toBe(500);
  expect(answer.body.detail).toContain('The stored drawUnits of case');
  const { items } = await must(altered, 200, 'GET', '/v1/audit?limit=500');
  expect(items.at(-1)).toMatchObject({
    action: 'snapshot.explanationRefused',
    subject: `snapshot/${second.digest}`,
  });
});
