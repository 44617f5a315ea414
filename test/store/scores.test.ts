// Scores against validity ranges, on embedded and on real Postgres: any course of drafts, imports
// and commits leaves every version with the values that a plain model of it has.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { must, ndjsonOf } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { summaryText } from '../support/summaries.ts';

const ids = ['a', 'b', 'c', 'd'];
const folds = [
  { train: ['c', 'd'], val: ['a', 'b'] },
  { train: ['a', 'b'], val: ['c', 'd'] },
];
type Values = Record<string, number | null>;
type Step =
  | { kind: 'import'; fold: number; dice: Values }
  | { kind: 'edit'; id: string; note: string }
  | { kind: 'commit' }
  | { kind: 'discard' };

const diceOf = (val: string[]) =>
  fc
    .dictionary(fc.constantFrom(...val), fc.option(fc.constantFrom(0, 0.1, 0.7, 1), { nil: null }))
    .filter((dice) => Object.keys(dice).length > 0)
    .map((dice): Values => ({ ...dice }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .nat(1)
      .chain((fold) =>
        diceOf(folds[fold].val).map((dice) => ({ kind: 'import' as const, fold, dice })),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('edit' as const),
      id: fc.constantFrom(...ids),
      note: fc.constantFrom('x', 'y'),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'commit' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'discard' as const }) },
);

type Model = Record<string, { note: string; dice?: number }>;

/** What an import, or an upload that replaces all attributes of a case, makes of the values. */
function after(model: Model, done: Step): Model {
  const next = structuredClone(model);
  if (done.kind === 'edit') next[done.id] = { note: done.note };
  if (done.kind === 'import') {
    for (const id of folds[done.fold].val) {
      const dice = done.dice[id] ?? null;
      if (dice === null) delete next[id].dice;
      else next[id].dice = dice;
    }
  }
  return next;
}

let made = 0;

async function followed(api: TestApp, steps: Step[]): Promise<void> {
  const name = `d${++made}`;
  const path = `/v1/datasets/${name}/versions`;
  const attributes = { note: { type: 'string' } };
  const first: Model = Object.fromEntries(ids.map((id) => [id, { note: 'x' }]));
  await must(api, 201, 'POST', '/v1/datasets', { name, attributes });
  await must(api, 201, 'POST', path, { reason: 'first' });
  const lines = ids.map((id) => ({ id, attributes: first[id] }));
  await must(api, 200, 'POST', `${path}/1/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/1/splits/two`, folds);
  await must(api, 200, 'POST', `${path}/1/commit`, { reason: 'first' });
  const committed = new Map([[1, first]]);
  let base = 1;
  let number = 1;
  let model: Model | null = null;
  for (const next of [...steps, { kind: 'commit' } as const]) {
    if (model === null) {
      number++;
      await must(api, 201, 'POST', path, { base, reason: 'next' });
      model = committed.get(base) as Model;
    }
    await sent(api, `${path}/${number}`, next);
    model = after(model, next);
    if (next.kind !== 'discard') await expectValues(api, `${path}/${number}`, model);
    if (next.kind === 'commit') {
      committed.set(number, model);
      base = number;
    }
    if (next.kind === 'commit' || next.kind === 'discard') model = null;
    for (const [version, values] of committed) {
      await expectValues(api, `${path}/${version}`, values);
    }
  }
}

async function sent(api: TestApp, path: string, done: Step): Promise<void> {
  if (done.kind === 'commit') await must(api, 200, 'POST', `${path}/commit`, { reason: 'x' });
  if (done.kind === 'discard') await must(api, 204, 'DELETE', path);
  if (done.kind === 'edit') {
    const line = { id: done.id, attributes: { note: done.note } };
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([line]));
  }
  if (done.kind === 'import') {
    const cases = Object.entries(done.dice).map(([id, dice]) => [id, [dice]]);
    const query = `split=two&fold=${done.fold}&reason=x`;
    await must(
      api,
      200,
      'PUT',
      `${path}/scores/dice?${query}`,
      summaryText(Object.fromEntries(cases)),
    );
  }
}

async function expectValues(api: TestApp, path: string, model: Model): Promise<void> {
  const { items } = await must(api, 200, 'GET', `${path}/cases`);
  const found = Object.fromEntries(items.map(({ id, attributes }: any) => [id, attributes]));
  expect(found).toEqual(model);
}

const property = (api: () => TestApp, numRuns: number) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) =>
      followed(api(), steps),
    ),
    { numRuns },
  );

describe('every version keeps its values', () => {
  let api: TestApp;
  beforeAll(async () => {
    api = await openTestApp();
  });
  test('on embedded Postgres', () => property(() => api, 15));
});

describe.skipIf(noPostgres())('every version keeps its values', () => {
  let postgres: TestPostgres;
  let api: TestApp;
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openTestApp({ database: postgres.database });
  });
  afterAll(() => postgres?.stop());
  test('on real Postgres', () => property(() => api, 15));
});
