// Applies plain SQL files in order, once each. A lock of the session makes several processes
// follow each other; the SHA-256 of each file is kept, so that one edited later is noticed.

import { sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { sha256Text } from '../ids.ts';
import { type Database, type Orm, rows, type Session } from './database.ts';

export type Migration = { name: string; text: string };

/** The newest file of migrations/: what this code needs of a database. A test holds it. */
export const newestMigration = '0018_metric_chunks.sql';

/** How a database stands to the files of this version; names in order. */
export type MigrationState = {
  applied: string[];
  pending: string[];
  /** Applied here, and not among the files: a newer version was at work. */
  unknown: string[];
  /** Applied here from a file that said something else. */
  edited: string[];
};

export type MigrationSteps = {
  /** Another process migrates; this one waits for it. */
  waiting?: () => void;
  applied?: (name: string) => void;
};

type Recorded = { name: string; sha256: string | null };

const lockKey = 4102444800;

/** Whether the newest migration was applied; for entries that do not migrate themselves. */
export async function schemaIsCurrent(orm: Orm): Promise<boolean> {
  return (await recorded(orm)).some(({ name }) => name === newestMigration);
}

/** Compares without changing anything. */
export async function compareMigrations(
  orm: Orm,
  migrations: Migration[],
): Promise<MigrationState> {
  const known = new Map((await recorded(orm)).map(({ name, sha256 }) => [name, sha256]));
  const names = migrations.map(({ name }) => name).sort();
  const edited: string[] = [];
  for (const migration of migrations) {
    const digest = known.get(migration.name) ?? null;
    if (digest !== null && digest !== (await digestOf(migration))) edited.push(migration.name);
  }
  return {
    applied: names.filter((name) => known.has(name)),
    pending: names.filter((name) => !known.has(name)),
    unknown: [...known.keys()].filter((name) => !names.includes(name)).sort(),
    edited: edited.sort(),
  };
}

/**
 * Applies the migrations that are not yet recorded, each in its own transaction; answers the names
 * applied now. Throws `conflict` for a database of a newer version and for a file that was edited
 * after it was applied; nothing is applied then.
 */
export async function applyMigrations(
  database: Database,
  migrations: Migration[],
  steps: MigrationSteps = {},
): Promise<string[]> {
  return await database.session(async (session) => {
    await lock(session, steps);
    try {
      refuseOther(await compareMigrations(session.orm, migrations));
      return await applyPending(session, migrations, steps);
    } finally {
      // Where the connection is gone, the lock and the transaction went with it.
      await session
        .script(`rollback; select pg_advisory_unlock(${lockKey})`)
        .catch(() => undefined);
    }
  });
}

async function lock({ orm, script }: Session, { waiting }: MigrationSteps): Promise<void> {
  const [{ free }] = await rows<{ free: boolean }>(
    orm,
    sql`select pg_try_advisory_lock(${lockKey}) as free`,
  );
  if (free) return;
  waiting?.();
  await script(`select pg_advisory_lock(${lockKey})`);
}

async function applyPending(
  session: Session,
  migrations: Migration[],
  { applied }: MigrationSteps,
): Promise<string[]> {
  await prepareRecord(session);
  const known = new Map((await recorded(session.orm)).map(({ name, sha256 }) => [name, sha256]));
  const done: string[] = [];
  for (const migration of [...migrations].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const digest = known.get(migration.name);
    if (digest === undefined) {
      await applyOne(session, migration);
      applied?.(migration.name);
      done.push(migration.name);
    } else if (digest === null) {
      // Applied by a version that kept no digests.
      await session.orm.execute(
        sql`update schema_migrations set sha256 = ${await digestOf(migration)}
          where name = ${migration.name}`,
      );
    }
  }
  return done;
}

// Nothing is altered where nothing is missing: a backup that runs would hold up every start.
async function prepareRecord({ orm, script }: Session): Promise<void> {
  const { table, digests } = await recordShape(orm);
  if (!table) {
    await script(
      'create table schema_migrations (name text primary key, applied_at timestamptz not null default now(), sha256 text)',
    );
  } else if (!digests) {
    await script('alter table schema_migrations add column sha256 text');
  }
}

async function applyOne({ script }: Session, migration: Migration): Promise<void> {
  const { name, text } = migration;
  if (!/^[a-z0-9_.-]+$/.test(name)) throw new Error(`migration name ${name} is not plain`);
  const digest = await digestOf(migration);
  try {
    await script(`begin;
insert into schema_migrations (name, sha256) values ('${name}', '${digest}');
${text}
commit;`);
  } catch (cause) {
    throw new ProblemError(
      'conflict',
      `Migration ${name} failed and left nothing behind: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function refuseOther({ unknown, edited }: MigrationState): void {
  if (unknown.length > 0) {
    throw new ProblemError(
      'conflict',
      `This database knows migrations that this version does not: ${unknown.join(', ')}. A newer version has migrated it; start that one, or restore a backup from before.`,
    );
  }
  if (edited.length > 0) {
    throw new ProblemError(
      'conflict',
      `Migrations were edited after this database had applied them: ${edited.join(', ')}. Put the released files back; a change is a new file with the next number.`,
    );
  }
}

async function recordShape(orm: Orm): Promise<{ table: boolean; digests: boolean }> {
  const [shape] = await rows<{ table: boolean; digests: boolean }>(
    orm,
    sql`select to_regclass('public.schema_migrations') is not null as "table",
      exists (select from pg_attribute where attrelid = to_regclass('public.schema_migrations')
        and attname = 'sha256' and not attisdropped) as digests`,
  );
  return shape;
}

async function recorded(orm: Orm): Promise<Recorded[]> {
  const { table, digests } = await recordShape(orm);
  if (!table) return [];
  const sha256 = digests ? sql`sha256` : sql`null as sha256`;
  return await rows<Recorded>(orm, sql`select name, ${sha256} from public.schema_migrations`);
}

// A checkout with the line ends of Windows holds the same file.
async function digestOf({ text }: Migration): Promise<string> {
  return await sha256Text(text.replaceAll('\r\n', '\n'));
}
