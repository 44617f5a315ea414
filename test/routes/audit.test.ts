// The audit chain over HTTP: what a write leaves, what nobody can change, and how an alteration
// behind the triggers is found.

import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { genesisHash } from '../../api/store/audit.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';

type Entry = { sequence: number; action: string; subject: string; actor: string; at: string };

let api: TestApp;
let entries: Entry[];
beforeAll(async () => {
  api = await openTestApp();
  await frozenSnapshot(api);
  entries = (await must(api, 200, 'GET', '/v1/audit?limit=500')).items;
});

const sequences = (items: Entry[]) => items.map(({ sequence }) => sequence);
const list = async (query: string): Promise<Entry[]> =>
  (await must(api, 200, 'GET', `/v1/audit?limit=500&${query}`)).items;

describe('a write', () => {
  test('leaves one entry with its actor, in the order of the writes', () => {
    expect(entries.map(({ actor, action }) => [actor, action])).toEqual([
      ['deployment', 'token.created'],
      ['admin', 'dataset.created'],
      ['admin', 'version.opened'],
      ['admin', 'cases.uploaded'],
      ['admin', 'split.put'],
      ['admin', 'version.committed'],
      ['admin', 'rule-set.added'],
      ['admin', 'snapshot.frozen'],
    ]);
    expect(sequences(entries)).toEqual(entries.map((_, k) => k + 1));
  });

  test('that is refused leaves none', async () => {
    const head = await must(api, 200, 'GET', '/v1/audit/head');
    const refused = [
      ['/v1/datasets', { name: 'phantom', attributes: {} }],
      ['/v1/datasets/phantom/versions/1/cases', '{"id": "late"}\n'],
      ['/v1/datasets/phantom/rule-sets', { name: 'no', rules: {}, reason: '' }],
      ['/v1/datasets/phantom/snapshots', { version: 9, split: 's', fold: 0, ruleSet: 'x@1' }],
    ] as const;
    for (const [path, body] of refused) {
      expect((await api.call('POST', path, body)).status).toBeGreaterThanOrEqual(400);
    }
    expect(await must(api, 200, 'GET', '/v1/audit/head')).toEqual(head);
  });
});

describe('the list', () => {
  test('is read in pages without a gap or a repetition', async () => {
    const read: Entry[] = [];
    for (let cursor = ''; ; ) {
      const page = await must(api, 200, 'GET', `/v1/audit?limit=3${cursor}`);
      read.push(...page.items);
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(read).toEqual(entries);
  });

  test('is filtered by actor, action and subject', async () => {
    expect(sequences(await list('actor=admin'))).toEqual(sequences(entries.slice(1)));
    expect(await list('actor=nobody')).toEqual([]);
    expect(sequences(await list('action=split.put'))).toEqual([5]);
    const subject = encodeURIComponent(entries[7].subject);
    expect(sequences(await list(`subject=${subject}`))).toEqual([8]);
  });

  test('is filtered by time: from is in, to is out', async () => {
    const at = encodeURIComponent(entries[0].at);
    expect(await list(`from=${at}`)).toEqual(entries);
    expect(await list(`to=${at}`)).toEqual([]);
  });

  test.each([
    ['a cursor that was made elsewhere', `cursor=${btoa('abc')}`],
    ['a cursor that is no base64', 'cursor=%25%25'],
    ['a time that is none', 'from=yesterday'],
    ['a page that is too large', 'limit=501'],
  ])('refuses %s with 400', async (_, query) => {
    expect((await api.call('GET', `/v1/audit?${query}`)).status).toBe(400);
  });
});

describe('the export', () => {
  test('is a chain from the genesis hash to the head that anyone can compute', async () => {
    const text = await (await api.send('GET', '/v1/audit/export')).text();
    const lines = text.trimEnd().split('\n');
    let hash = genesisHash;
    for (const line of lines.map((each) => JSON.parse(each))) {
      expect(line.previousHash).toBe(hash);
      const digest = createHash('sha256').update(`${hash}\n${line.text}`).digest('hex');
      hash = `sha256:${digest}`;
      expect(line.hash).toBe(hash);
    }
    const head = await must(api, 200, 'GET', '/v1/audit/head');
    expect(head).toMatchObject({ sequence: lines.length, hash });
  });
});

describe('SQL', () => {
  const statements = ['snapshots', 'snapshot_chunks', 'audit_entries', 'rule_sets'].flatMap(
    (table) => [`delete from ${table}`, `truncate ${table}`, `truncate ${table} cascade`],
  );
  test.each(statements)('%s is refused', async (statement) => {
    await expect(api.database.orm.execute(sql.raw(statement))).rejects.toThrow();
    expect(await list('')).toEqual(entries);
  });
});

/** An alteration that somebody with the rights of the owner makes, and what is said of it. */
const alterations: [string, string, { sequence: number; detail: string }][] = [
  [
    'a text',
    `update audit_entries set text = replace(text, 'admin', 'nobody') where sequence = 5`,
    { sequence: 5, detail: 'the text of entry 5 was altered' },
  ],
  [
    'a column',
    `update audit_entries set actor = 'somebody' where sequence = 4`,
    { sequence: 4, detail: 'a column of entry 4 says something else than its text' },
  ],
  [
    'a missing entry',
    'delete from audit_entries where sequence = 3',
    { sequence: 4, detail: 'entry 3 is missing' },
  ],
  [
    'a text with its hash made anew',
    `update audit_entries set text = text || ' ', hash = 'sha256:' || encode(
       sha256(convert_to(previous_hash || chr(10) || text || ' ', 'UTF8')), 'hex')
     where sequence = 4`,
    { sequence: 5, detail: 'entry 5 does not follow from the hash of entry 4' },
  ],
];

test.each(alterations)('verify names %s', async (_, statement, { sequence, detail }) => {
  const other = await openTestApp();
  await frozenSnapshot(other);
  const { orm } = other.database;
  await orm.execute(sql`alter table audit_entries disable trigger all`);
  await orm.execute(sql.raw(statement));
  const verdict = await must(other, 200, 'GET', '/v1/audit/verify');
  expect(verdict).toMatchObject({ ok: false, sequence, detail: expect.stringContaining(detail) });
  await other.database.close();
});

test('the end of a chain that was cut off is found by its head, kept elsewhere', async () => {
  const other = await openTestApp();
  await frozenSnapshot(other);
  const kept = await must(other, 200, 'GET', '/v1/audit/head');
  await other.database.orm.execute(sql`alter table audit_entries disable trigger all`);
  await other.database.orm.execute(sql`delete from audit_entries where sequence = 8`);
  const head = await must(other, 200, 'GET', '/v1/audit/head');
  expect([kept.sequence, head.sequence]).toEqual([8, 7]);
  expect(head.hash).not.toBe(kept.hash);
  await other.database.close();
});
