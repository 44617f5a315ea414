// Whether a database has the tables of this version of the service.

import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { readMigrations } from '../../api/node.ts';
import { isMigrated, newestMigration } from '../../api/store/migrations.ts';
import { openPglite } from '../../api/store/open-pglite.ts';
import { openTestDatabase } from '../support/database.ts';

test('the newest migration that the service names is the last one there is', () => {
  expect(newestMigration).toBe(readMigrations().at(-1)?.name);
});

test('a database is migrated when that one was applied, whatever came later', async () => {
  const { orm, close } = await openTestDatabase();
  expect(await isMigrated(orm)).toBe(true);
  await orm.execute(sql`insert into schema_migrations (name) values ('9999_later.sql')`);
  expect(await isMigrated(orm)).toBe(true);
  await orm.execute(sql`delete from schema_migrations where name = ${newestMigration}`);
  expect(await isMigrated(orm)).toBe(false);
  await close();
});

test('an empty database is not', async () => {
  const { orm, close } = await openPglite();
  expect(await isMigrated(orm)).toBe(false);
  await close();
});
