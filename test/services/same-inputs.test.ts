// The same inputs give the same digests: on embedded and on real Postgres, with cases uploaded in
// any order and in any parts, and whatever stood in the dataset before.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { attributes, caseLines, foldsOf, must, ndjsonOf, rules } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const lines = caseLines(40);
const path = '/v1/datasets/phantom';

/** An upload: the order of the lines, where they are cut into parts, and a detour before. */
type History = { order: number[]; cuts: number[]; detour: boolean };

const straight: History = { order: lines.map((_, k) => k), cuts: [], detour: false };
const history: fc.Arbitrary<History> = fc.record({
  order: fc.shuffledSubarray(straight.order, { minLength: lines.length }),
  cuts: fc.uniqueArray(fc.integer({ min: 1, max: lines.length - 1 }), { maxLength: 4 }),
  detour: fc.boolean(),
});

let workspaces = 0;

/** Version and snapshot digests of the 40 cases, brought in by this history. */
async function digestsOf(
  api: TestApp,
  { order, cuts, detour }: History,
  uploaded = lines,
): Promise<string[]> {
  // One of its own, so that the dataset can have the same name.
  const own = await api.inWorkspace(`w${++workspaces}`);
  await must(own, 201, 'POST', '/v1/datasets', { name: 'phantom', attributes });
  const cases = `${path}/versions/1/cases`;
  await must(own, 201, 'POST', `${path}/versions`, { reason: 'r' });
  if (detour) {
    const extra = [
      { ...lines[3], attributes: lines[4].attributes },
      { ...lines[0], id: 'extra' },
    ];
    await must(own, 200, 'POST', cases, ndjsonOf(extra));
    await must(own, 200, 'POST', cases, ndjsonOf([{ id: 'extra', removed: true }]));
  }
  const ends = [...cuts.toSorted((a, b) => a - b), order.length];
  for (const [k, end] of ends.entries()) {
    const part = order.slice(k === 0 ? 0 : ends[k - 1], end).map((place) => uploaded[place]);
    await must(own, 200, 'POST', cases, ndjsonOf(part));
  }
  const folds = foldsOf(lines.map(({ id }) => id));
  await must(own, 200, 'PUT', `${path}/versions/1/splits/five-fold`, folds);
  const version = await must(own, 200, 'POST', `${path}/versions/1/commit`, { reason: 'r' });
  await must(own, 201, 'POST', `${path}/rule-sets`, { name: 'r', rules, reason: 'r' });
  await must(own, 201, 'POST', `${path}/withdrawals`, { caseId: 'case_0007', reason: 'r' });
  const fold = { version: 1, split: 'five-fold', ruleSet: 'r@1', reason: 'r' };
  const digests = [version.digest];
  for (const k of [0, 4]) {
    const frozen = await must(own, 201, 'POST', `${path}/snapshots`, { ...fold, fold: k });
    digests.push(frozen.digest);
  }
  return digests;
}

let embedded: TestApp;
let known: string[];
beforeAll(async () => {
  embedded = await openTestApp();
  known = await digestsOf(embedded, straight);
});

const property = (api: () => TestApp) =>
  fc.assert(
    fc.asyncProperty(history, async (uploaded) => {
      expect(await digestsOf(api(), uploaded)).toEqual(known);
    }),
    { numRuns: 12, seed: 20260301 },
  );

test('embedded Postgres: any order of upload', () => property(() => embedded));

test('one other value, other digests: what is compared above is no constant', async () => {
  const values = { ...lines[5].attributes, quality: lines[5].attributes.quality + 1e-9 };
  const cases = lines.with(5, { ...lines[5], attributes: values });
  const made = await digestsOf(embedded, straight, cases);
  expect(made.filter((digest, k) => digest === known[k])).toEqual([]);
});

describe.skipIf(noPostgres())('real Postgres', () => {
  let postgres: TestPostgres;
  let api: TestApp;
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openTestApp({ database: postgres.database });
  });
  afterAll(() => postgres?.stop());

  test('any order of upload gives the digests of embedded Postgres', () => property(() => api));
});
