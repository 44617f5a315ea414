// Long folds go in and come out in pieces, and are the same then.

import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, rows } from '../../api/store/database.ts';
import {
  int32Array,
  joinedInts,
  longIntArray,
  pieceLength,
} from '../../api/store/number-arrays.ts';
import { findFold, insertSplit } from '../../api/store/splits.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, must } from '../support/builders.ts';

let api: TestApp;
let database: Database;
beforeAll(async () => {
  api = await openTestApp();
  database = api.database;
});
afterAll(() => database.close());

const lengths = [0, 1, pieceLength, 2 * pieceLength + 5];

/** Compared as bytes: an element at a time takes seconds. */
const bytesOf = (values: Int32Array) => Buffer.from(values.buffer);

test.each(lengths)('an array of %i numbers is stored in its order', async (length) => {
  const values = Int32Array.from({ length }, (_, k) => (k * 7919) % 1_000_003);
  const [{ bytes }] = await rows<{ bytes: Uint8Array }>(
    database.orm,
    sql`select array_send(${longIntArray(values)}) as bytes`,
  );
  expect(bytesOf(int32Array(bytes)).equals(bytesOf(values))).toBe(true);
});

test('a fold longer than a piece is read as it was put', async () => {
  await committedDataset(api, { name: 'long', count: 10 });
  await must(api, 201, 'POST', '/v1/datasets/long/versions', { base: 1, reason: 'folds' });
  const { id: datasetId } = await must(api, 200, 'GET', '/v1/datasets/long');
  const key = { datasetId, version: 2, split: 'one' };
  const train = Int32Array.from({ length: 2 * pieceLength + 3 }, (_, k) => k % 3);
  const folds = [{ fold: 0, train, val: Int32Array.of(3) }];
  const entry = {
    workspaceId: '',
    at: new Date(0),
    actor: 'test',
    action: 'split.put',
    subject: 'x',
    reason: null,
    detail: {},
  };
  const [{ workspaceId }] = await rows<{ workspaceId: string }>(
    database.orm,
    sql`select workspace_id as "workspaceId" from datasets where id = ${datasetId}`,
  );
  await insertSplit(database.orm, { ...key, folds }, { ...entry, workspaceId });
  const found = await findFold(database.orm, { ...key, fold: 0 });
  expect([bytesOf(found.train).equals(bytesOf(train)), [...found.val]]).toEqual([true, [3]]);
  await expect(findFold(database.orm, { ...key, fold: 1 })).rejects.toMatchObject({
    kind: 'not-found',
  });
});

test('pieces are one array again, however it was cut', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer({ min: -5, max: 5 }))), (pieces) => {
      const joined = joinedInts(pieces.map((piece) => Int32Array.from(piece)));
      expect([...joined]).toEqual(pieces.flat());
    }),
  );
});
