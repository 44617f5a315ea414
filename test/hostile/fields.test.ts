// Every field of every request with what attackers and broken clients put there, one at a time, in
// an honest body: none may answer 5xx, tell what is inside, or be more than text to the database.

import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { adminToken } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { webhooksSending } from '../support/webhooks.ts';
import { answered, expectSilentLog, faultsOf } from './leaks.ts';
import {
  addressOf,
  type Operation,
  operationsOf,
  placesIn,
  replaced,
  valueAt,
  withoutBody,
} from './operations.ts';

let api: JobTest;
let operations: Operation[];
let trainer: string;
beforeAll(async () => {
  api = await openJobTest();
  const heard = { status: 200, retryAfter: null, text: '' };
  api.deps.webhooks = await webhooksSending(async () => heard);
  const { id } = await api.launch();
  trainer = api.launcher.launches.get(api.keyOf(id))?.token as string;
  operations = operationsOf(api, api.snapshot).filter(({ body }) => body !== undefined);
});
afterAll(() => {
  expectSilentLog(api, [adminToken, trainer]);
});

const tables = () =>
  rows<{ name: string }>(
    api.database.orm,
    sql`select relname as name from pg_class where relkind = 'r'
      and relnamespace = 'public'::regnamespace order by 1`,
  );

const send = (operation: Operation, body: unknown) => {
  const { method, path } = operation;
  const token = path.startsWith('/v1/trainer/') ? trainer : api.token;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return api.send(method, addressOf(operation, api.snapshot), JSON.stringify(body), headers);
};

const named = ({ method, path }: Operation, place: (string | number)[]) =>
  `${method} ${path} /${place.join('/')}`;

test('every route that takes JSON has an honest body here', () => {
  expect(withoutBody(api)).toEqual([
    'PUT /v1/datasets/{dataset}/versions/{n}/splits/{split}', // a stream: see bodies.test.ts
  ]);
});

const sqlTexts = [
  "'; drop table datasets; --",
  "' or '1'='1",
  '"; delete from tokens; --',
  '$1; select pg_sleep(9)',
  "\\'; insert into tokens select * from tokens; --",
  "{x}', (select secret_digest from tokens limit 1)) --",
];

const unicodeTexts = [
  'e\u0301 \u00e9', // the same letter twice, for some
  '\u202egnp.exe',
  'a\u200bb\ufeff',
  '👩‍👩‍👧‍👦',
  'İıſK', // letters whose lower case has another length
  '\u0000',
  '\ud800',
  'x\r\nset-cookie: a=b',
  '../../../etc/passwd',
  '<script>alert(1)</script>',
  '__proto__',
  'x'.repeat(20_000),
];

describe.each([
  ['SQL', sqlTexts],
  ['odd texts', unicodeTexts],
])('%s in every field', (_, texts) => {
  test('is text, or is refused', async () => {
    const before = await tables();
    const found: string[] = [];
    for (const operation of operations) {
      for (const place of placesIn(operation.body)) {
        if (typeof valueAt(operation.body, place) !== 'string') continue;
        for (const text of texts) {
          const response = await send(operation, replaced(operation.body, place, text));
          const answer = await answered(named(operation, place), response);
          found.push(...faultsOf(answer, text));
        }
      }
    }
    expect(found).toEqual([]);
    expect(await tables()).toEqual(before);
    expect(await must(api, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
  });
});

test('a text that is stored is read back as it was sent', async () => {
  for (const [k, description] of sqlTexts.entries()) {
    const body = { name: `stored${k}`, description, attributes: {} };
    await must(api, 201, 'POST', '/v1/datasets', body);
    expect(await must(api, 200, 'GET', `/v1/datasets/stored${k}`)).toMatchObject({ description });
  }
});

describe('a value of another shape', () => {
  const wrong = fc.oneof(
    fc.constantFrom(null, true, '', 0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, -0, [], {}, [[]], [null]),
    fc.string({ unit: 'binary' }),
    fc.jsonValue({ maxDepth: 3 }),
  );

  test('anywhere is refused with where it stands, or taken', async () => {
    const cases = operations.flatMap((operation) =>
      placesIn(operation.body).map((place) => ({ operation, place })),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...cases), wrong, async ({ operation, place }, value) => {
        const response = await send(operation, replaced(operation.body, place, value));
        const answer = await answered(named(operation, place), response);
        expect(faultsOf(answer, JSON.stringify(value))).toEqual([]);
        if (answer.status !== 422) return;
        const { errors = [] } = JSON.parse(answer.text) as { errors?: { pointer?: string }[] };
        const at = `/${place.join('/')}`;
        // Of a choice between shapes only the whole is named, of an object the field in it.
        const near = errors.some(
          ({ pointer = '' }) => at.startsWith(pointer) || pointer.startsWith(at),
        );
        const told = near || /[sS]napshot|[cC]ase|image/.test(answer.text);
        expect([answer.from, answer.text, told]).toEqual([answer.from, answer.text, true]);
      }),
      { numRuns: 400 },
    );
  });

  test('beside the known fields is refused by name', async () => {
    for (const operation of operations.filter(({ path }) => path !== '/v1/trainer/reports')) {
      const body = { ...(operation.body as object), surprise: 1 };
      const response = await send(operation, body);
      expect([operation.path, response.status]).toEqual([operation.path, 422]);
      expect(await response.text()).toContain('surprise');
    }
  });
});
