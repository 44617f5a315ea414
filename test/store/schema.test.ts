// The tables as drizzle sees them against the migrated database: a column that stands in the SQL
// and not here is never read, one that stands here and not there breaks a query at night.

import { getTableColumns, is, sql } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, rows } from '../../api/store/database.ts';
import * as core from '../../api/store/schema.ts';
import * as github from '../../api/store/schema-github.ts';
import * as jobs from '../../api/store/schema-jobs.ts';
import * as teams from '../../api/store/schema-teams.ts';
import * as webhooks from '../../api/store/schema-webhooks.ts';
import { openTestDatabase } from '../support/database.ts';

type Column = { name: string; type: string; nullable: boolean };

/** Tables that only the migrations themselves read, never drizzle. */
const withoutDrizzle = ['schema_migrations'];

let database: Database;
let stored: Map<string, Column[]>;
beforeAll(async () => {
  database = await openTestDatabase();
  stored = await storedTables(database);
});
afterAll(() => database.close());

async function storedTables({ orm }: Database): Promise<Map<string, Column[]>> {
  const columns = await rows<{ table: string; name: string; type: string; nullable: boolean }>(
    orm,
    sql`select relname as table, attname as name, format_type(atttypid, atttypmod) as type,
          not attnotnull as nullable
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
          and attnum > 0 and not attisdropped`,
  );
  const tables = new Map<string, Column[]>();
  for (const { table, name, type, nullable } of columns) {
    const known = tables.get(table) ?? [];
    tables.set(table, [...known, { name, type, nullable }]);
  }
  return tables;
}

const declared = [core, github, jobs, teams, webhooks]
  .flatMap((tables) => Object.values<unknown>(tables))
  .filter((value) => is(value, PgTable))
  .map((table) => ({
    name: getTableConfig(table).name,
    columns: Object.values(getTableColumns(table)),
  }));

const byName = (columns: Column[]) => columns.toSorted((a, b) => (a.name < b.name ? -1 : 1));

describe('a table', () => {
  test.each(declared.map((table) => [table.name, table] as const))(
    '%s has the columns, types and nullability of the migrated database',
    (name, { columns }) => {
      const seen = columns.map((column) => ({
        name: column.name,
        type: column.getSQLType(),
        nullable: !column.notNull,
      }));
      expect(byName(seen)).toEqual(byName(stored.get(name) ?? []));
    },
  );

  test('stands in the migrations exactly when it stands in the schema', () => {
    const names = declared.map(({ name }) => name);
    expect([...names, ...withoutDrizzle].toSorted()).toEqual([...stored.keys()].toSorted());
  });
});

test('case ids are compared byte by byte, as the digest orders them, whatever the locale', async () => {
  const collations = await rows<{ column: string }>(
    database.orm,
    sql`select table_name || '.' || column_name as column from information_schema.columns
        where table_schema = 'public' and collation_name = 'C' order by 1`,
  );
  expect(collations.map(({ column }) => column)).toEqual([
    'case_losses.case_id',
    'cases.case_id',
    'withdrawals.case_id',
  ]);
});
