// What an explanation does when a snapshot was altered behind the triggers: it refuses, and leaves
// one audit entry for each number that is wrong.

import { sql } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';

let api: TestApp;
let digest: string;
let cases: string[];

async function entries() {
  const { items } = await must(api, 200, 'GET', '/v1/audit?limit=500');
  return items.filter(({ action }: any) => action === 'snapshot.explanationRefused');
}

const explain = (caseId: string) => api.call('GET', `/v1/snapshots/${digest}/cases/${caseId}`);

/** Multiplies a stored number of the case at a place from 1, behind the triggers. */
async function alter(column: string, place: number, by: number): Promise<void> {
  const cell = `${column}[${place}]`;
  await api.database.orm.execute(sql.raw(`update snapshot_chunks set ${cell} = ${cell} * ${by}`));
}

async function arrange(): Promise<void> {
  api = await openTestApp();
  digest = (await frozenSnapshot(api)).snapshot.digest;
  const url = `/v1/snapshots/${digest}/cases`;
  const answer = await api.call('GET', url, undefined, { accept: 'application/json' });
  cases = answer.body.cases.map(({ id }: any) => id);
  await api.database.orm.execute(sql`alter table snapshot_chunks disable trigger all`);
}

describe('an altered number', () => {
  beforeAll(arrange);

  test.each([
    ['target_units', 'targetUnits', 2],
    ['draw_units', 'drawUnits', 2],
    ['loss_factors', 'lossFactor', 1.5],
    ['scores', 'score', 1.000001],
  ])('in %s is refused, logged and kept in the audit chain', async (column, number, by) => {
    const place = ['target_units', 'draw_units', 'loss_factors', 'scores'].indexOf(column) + 1;
    await alter(column, place, by);
    const caseId = cases[place - 1];
    const answer = await explain(caseId);
    expect(answer.status).toBe(500);
    expect(answer.body.detail).toContain(`The stored ${number} of case "${caseId}"`);
    expect((await entries()).at(-1)).toMatchObject({
      actor: 'admin',
      subject: `snapshot/${digest}`,
      detail: { case: caseId, number },
    });
    expect(api.logged).toContainEqual({
      level: 'error',
      message: answer.body.detail,
      fields: expect.objectContaining({ snapshot: digest, case: caseId, number }),
    });
  });

  test('leaves the other cases explained', async () => {
    expect((await explain(cases[10])).status).toBe(200);
    expect(await entries()).toHaveLength(4);
  });
});

describe('the entry', () => {
  beforeEach(arrange);

  test('is written once however often and however many at a time ask', async () => {
    await alter('draw_units', 1, 2);
    const asked = await Promise.all([explain(cases[0]), explain(cases[0]), explain(cases[0])]);
    expect(asked.map(({ status }) => status)).toEqual([500, 500, 500]);
    expect(await entries()).toHaveLength(1);
    expect(await must(api, 200, 'GET', '/v1/audit/verify?scope=chain')).toMatchObject({ ok: true });
  });

  test('is another one for another case or another number', async () => {
    await alter('draw_units', 1, 2);
    await alter('draw_units', 2, 2);
    await explain(cases[0]);
    await explain(cases[1]);
    await alter('draw_units', 1, 0.5);
    await alter('loss_factors', 1, 3);
    await explain(cases[0]);
    expect((await entries()).map(({ detail }: any) => detail)).toEqual([
      { case: cases[0], number: 'drawUnits' },
      { case: cases[1], number: 'drawUnits' },
      { case: cases[0], number: 'lossFactor' },
    ]);
  });

  test('is not written where the numbers hold', async () => {
    expect((await explain(cases[0])).status).toBe(200);
    expect(await entries()).toEqual([]);
  });
});
