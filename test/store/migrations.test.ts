// Migrations against databases that are empty, newer, altered, or migrated by somebody else at the
// same moment.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readMigrations } from '../../api/node.ts';
import { type Database, rows } from '../../api/store/database.ts';
import {
  applyMigrations,
  compareMigrations,
  type Migration,
  newestMigration,
  schemaIsCurrent,
} from '../../api/store/migrations.ts';
import { openPglite } from '../../api/store/open-pglite.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { openTestDatabase } from '../support/database.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const first = { name: '0001_a.sql', text: 'create table a (x integer);' };
const second = { name: '0002_b.sql', text: 'create table b (x integer);' };

test('the newest migration that the code asks for is the last file', () => {
  const last = readMigrations().at(-1)?.name;
  // Set newestMigration in api/store/migrations.ts where this fails.
  expect(newestMigration).toBe(last);
});

describe('a database of its own', () => {
  let database: Database;
  beforeAll(async () => {
    database = await openPglite();
  });
  afterAll(() => database.close());
  beforeEach(() => database.script('drop schema public cascade; create schema public;'));

  const apply = (...migrations: Migration[]) => applyMigrations(database, migrations);
  const compare = (...migrations: Migration[]) => compareMigrations(database.orm, migrations);
  const there = async (table: string) => {
    const [{ is }] = await rows<{ is: boolean }>(
      database.orm,
      sql`select to_regclass(${`public.${table}`}) is not null as is`,
    );
    return is;
  };
  const refusal = async (attempt: Promise<unknown>) => {
    const error = await attempt.then(
      () => ({ message: 'it was not refused' }),
      (caught: Error) => caught,
    );
    return error.message;
  };

  test('gets every file once, in the order of their names', async () => {
    const said: string[] = [];
    const applied = (name: string) => said.push(name);
    expect(await applyMigrations(database, [second, first], { applied })).toEqual(said);
    expect(said).toEqual(['0001_a.sql', '0002_b.sql']);
    expect(await apply(first, second)).toEqual([]);
  });

  test('is compared without being changed', async () => {
    const nothing = { applied: [], unknown: [], edited: [] };
    expect(await compare(first, second)).toEqual({
      ...nothing,
      pending: ['0001_a.sql', '0002_b.sql'],
    });
    expect(await there('schema_migrations')).toBe(false);
    await apply(first);
    expect(await compare(first, second)).toEqual({
      ...nothing,
      applied: ['0001_a.sql'],
      pending: ['0002_b.sql'],
    });
  });

  test('of a newer version is refused, and nothing is applied', async () => {
    await apply(second);
    const said = await refusal(apply(first));
    expect(said).toContain('0002_b.sql');
    expect(said).toContain('newer version');
    expect(await there('a')).toBe(false);
  });

  test('refuses a released file that was edited, and applies nothing else', async () => {
    await apply(first);
    const edited = { ...first, text: 'create table a (x bigint);' };
    expect(await compare(edited)).toMatchObject({ edited: ['0001_a.sql'] });
    expect(await refusal(apply(edited, second))).toContain('edited after');
    expect(await there('b')).toBe(false);
    const windows = { ...first, text: `${first.text}\r\n` };
    expect(await compare(windows)).toMatchObject({ edited: ['0001_a.sql'] });
  });

  test('takes a file with the line ends of Windows for the same file', async () => {
    const unix = { name: '0001_a.sql', text: 'create table a (\n  x integer\n);\n' };
    await apply(unix);
    const windows = { ...unix, text: unix.text.replaceAll('\n', '\r\n') };
    expect(await compare(windows)).toMatchObject({ edited: [] });
  });

  test('that was migrated before digests were kept gets them, and is guarded from then on', async () => {
    await database.script(`create table schema_migrations (name text primary key,
      applied_at timestamptz not null default now());
      insert into schema_migrations (name) values ('0001_a.sql');`);
    expect(await compare(first)).toMatchObject({ applied: ['0001_a.sql'], edited: [] });
    expect(await apply(first, second)).toEqual(['0002_b.sql']);
    expect(await refusal(apply({ ...first, text: 'other' }, second))).toContain('edited after');
  });

  test('keeps nothing of a file that fails, and is free for the next try', async () => {
    const broken = { name: '0002_b.sql', text: 'create table b (x integer); select nonesuch();' };
    expect(await refusal(apply(first, broken))).toMatch(
      /^Migration 0002_b\.sql failed and left nothing behind: .*nonesuch/,
    );
    expect(await there('a')).toBe(true);
    expect(await there('b')).toBe(false);
    expect(await apply(first, second)).toEqual(['0002_b.sql']);
  });

  test('is not as new as the code needs while it is empty', async () => {
    expect(await schemaIsCurrent(database.orm)).toBe(false);
    await apply(first);
    expect(await schemaIsCurrent(database.orm)).toBe(false);
  });
});

test('a migrated database is as new as the code needs', async () => {
  const database = await openTestDatabase();
  expect(await schemaIsCurrent(database.orm)).toBe(true);
  await database.close();
});

describe.skipIf(noPostgres())('on real Postgres', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  test('the second of two waits for the first and finds nothing to do', async () => {
    await postgres.owner.script('create database two');
    const url = postgres.urls.owner.replace(/postgres$/, 'two');
    const [one, other, gate] = [1, 2, 3].map(() => openPostgres({ url, connections: 1 }));
    // The first file cannot end before the gate is opened.
    await gate.script('select pg_advisory_lock(7)');
    const slow = {
      name: '0001_a.sql',
      text: 'select pg_advisory_xact_lock(7); create table a ();',
    };
    const began = applyMigrations(one, [slow]);
    await gate.script(`do $$ begin
      while not exists (select from pg_locks where locktype = 'advisory' and not granted) loop
        perform pg_sleep(0.01);
      end loop; end $$`);
    let came = () => {};
    const waits = new Promise<void>((resolve) => {
      came = resolve;
    });
    const later = applyMigrations(other, [slow], { waiting: () => came() });
    await waits;
    await gate.script('select pg_advisory_unlock(7)');
    expect(await Promise.all([began, later])).toEqual([['0001_a.sql'], []]);
    for (const database of [one, other, gate]) await database.close();
  });

  test('a first process that is killed leaves neither its lock nor half a file', async () => {
    await postgres.owner.script('create database killed');
    const url = postgres.urls.owner.replace(/postgres$/, 'killed');
    const [one, other] = [1, 2].map(() => openPostgres({ url, connections: 1 }));
    const dying = {
      name: '0001_a.sql',
      text: 'create table a (); select pg_terminate_backend(pg_backend_pid());',
    };
    await expect(applyMigrations(one, [dying])).rejects.toThrow();
    const whole = { ...dying, text: 'create table a ();' };
    expect(await applyMigrations(other, [whole])).toEqual(['0001_a.sql']);
    await one.close();
    await other.close();
  });

  test('the role of the service reads what was migrated and cannot record anything', async () => {
    expect(await schemaIsCurrent(postgres.database.orm)).toBe(true);
    const forged = postgres.database.script(
      "insert into schema_migrations (name) values ('9999_forged.sql')",
    );
    await expect(forged).rejects.toThrow('permission denied');
  });
});
