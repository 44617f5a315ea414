// Applies plain SQL files in order, once each, one at a time even when several processes start.

import { sql } from 'drizzle-orm';
import { type Database, type Orm, rows } from './database.ts';

export type Migration = { name: string; text: string };

/** The newest migration that this version of the service relies on: the last of migrations/. */
export const newestMigration = '0014_usage_indexes.sql';

/** Applies the migrations that are not yet recorded; returns the names applied now. */
export async function applyMigrations(
  database: Database,
  migrations: Migration[],
): Promise<string[]> {
  await database.script(
    'create table if not exists schema_migrations (name text primary key, applied_at timestamptz not null default now())',
  );
  const applied: string[] = [];
  for (const { name, text } of [...migrations].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const known = await rows<{ name: string }>(
      database.orm,
      sql`select name from schema_migrations where name = ${name}`,
    );
    if (known.length > 0) continue;
    await database.script(migrationScript(name, text));
    applied.push(name);
  }
  return applied;
}

/** Whether the newest migration was applied; false too where none ever was. */
export async function isMigrated(orm: Orm): Promise<boolean> {
  const [{ known }] = await rows<{ known: boolean }>(
    orm,
    sql`select to_regclass('schema_migrations') is not null as known`,
  );
  if (!known) return false;
  const found = await rows(
    orm,
    sql`select name from schema_migrations where name = ${newestMigration}`,
  );
  return found.length > 0;
}

// The lock is taken inside the transaction and the record is its first statement, so a second
// process waits, then fails on the primary key instead of applying the file twice.
function migrationScript(name: string, text: string): string {
  if (!/^[a-z0-9_.-]+$/.test(name)) throw new Error(`migration name ${name} is not plain`);
  return `begin;
select pg_advisory_xact_lock(4102444800);
insert into schema_migrations (name) values ('${name}');
${text}
commit;`;
}
