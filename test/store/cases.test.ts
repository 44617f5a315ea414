// Cases by validity range against a map: whatever is added, changed, removed and added again, in
// whatever versions, every version reads back what stood in it, and rows are written for changes
// only.

import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { ndjsonOf } from '../support/builders.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

const attributes = { x: { type: 'number', origin: 'measured' } };

async function openDataset(name: string) {
  await api.call('POST', '/v1/datasets', { name, attributes });
  return `/v1/datasets/${name}/versions`;
}

const lineOf = ([id, x]: [string, number | null]) =>
  x === null ? { id, removed: true } : { id, attributes: { x } };

type Part = Map<string, number | null>;

async function upload(path: string, number: number, part: Part) {
  const body = ndjsonOf([...part].map(lineOf));
  const response = await api.send('POST', `${path}/${number}/cases`, body);
  return [response.status, await response.json()] as const;
}

async function read(path: string, number: number): Promise<[string, number][]> {
  const { items } = (await api.call('GET', `${path}/${number}/cases?limit=500`)).body;
  return items.map((item: { id: string; attributes: { x: number } }) => [
    item.id,
    item.attributes.x,
  ]);
}

/** What a part does to the cases, and the counts that the answer must state. */
function applied(cases: Map<string, number>, part: Part) {
  const counts = { received: part.size, inserted: 0, updated: 0, removed: 0 };
  for (const [id, x] of part) {
    const before = cases.get(id);
    if (x === null) {
      if (cases.delete(id)) counts.removed++;
      continue;
    }
    cases.set(id, x);
    if (before === undefined) counts.inserted++;
    else if (before !== x) counts.updated++;
  }
  return counts;
}

const part = fc
  .uniqueArray(
    fc.tuple(
      fc.integer({ min: 0, max: 9 }).map((k) => `case_${k}`),
      fc.option(fc.integer({ min: 0, max: 2 }), { freq: 3 }),
    ),
    { selector: ([id]) => id, minLength: 1, maxLength: 8 },
  )
  .map((lines): Part => new Map(lines));
const history = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
});

test('every version reads back what stood in it, and parts count what they did', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(history, async (versions) => {
      const name = `random-${run++}`;
      const path = await openDataset(name);
      const cases = new Map<string, number>([['anchor', 0]]);
      const stood: [string, number][][] = [];
      for (const [k, parts] of versions.entries()) {
        await api.call('POST', path, { reason: 'r', ...(k > 0 ? { base: k } : {}) });
        if (k === 0) await upload(path, 1, new Map([['anchor', 0]]));
        for (const lines of parts) {
          expect(await upload(path, k + 1, lines)).toEqual([200, applied(cases, lines)]);
        }
        expect((await api.call('POST', `${path}/${k + 1}/commit`, { reason: 'r' })).status).toBe(
          200,
        );
        stood.push([...cases].toSorted(([a], [b]) => (a < b ? -1 : 1)));
      }
      for (const [k, expected] of stood.entries()) {
        expect(await read(path, k + 1)).toEqual(expected);
      }
      await expectStableOrdinals(name);
    }),
    { numRuns: 40, seed: 20260301 },
  );
});

// One ordinal per case for ever, counted from 0 without a gap, and ranges that never overlap.
async function expectStableOrdinals(name: string): Promise<void> {
  const found = await rows<{ id: string; ordinals: number[] }>(
    api.database.orm,
    sql`select case_id as id, array_agg(distinct ordinal) as ordinals from cases
      where dataset_id = (select id from datasets where name = ${name}) group by case_id`,
  );
  const ordinals = found.map((row) => row.ordinals);
  expect(ordinals.flat().toSorted((a, b) => a - b)).toEqual(found.map((_, k) => k));
  const overlapping = await rows(
    api.database.orm,
    sql`select a.case_id from cases a join cases b on a.dataset_id = b.dataset_id
      and a.ordinal = b.ordinal and a.valid_from < b.valid_from
      and (a.valid_to is null or a.valid_to > b.valid_from)
      where a.dataset_id = (select id from datasets where name = ${name})`,
  );
  expect(overlapping).toEqual([]);
}

test('a new version costs what changed: one case of a hundred is one row', async () => {
  const path = await openDataset('hundred');
  const all: Part = new Map(Array.from({ length: 100 }, (_, k) => [`case_${k + 100}`, k]));
  await api.call('POST', path, { reason: 'r' });
  await upload(path, 1, all);
  await api.call('POST', `${path}/1/commit`, { reason: 'r' });
  await api.call('POST', path, { reason: 'r', base: 1 });
  const changed = new Map([...all, ['case_150', -1] as const]);
  expect((await upload(path, 2, changed))[1]).toMatchObject({ inserted: 0, updated: 1 });
  const [{ count }] = await rows<{ count: number }>(
    api.database.orm,
    sql`select count(*)::int as count from cases
      where dataset_id = (select id from datasets where name = 'hundred')`,
  );
  expect(count).toBe(101);
});
