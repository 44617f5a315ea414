// The database of the Node entries: opened, migrated by the owner of the tables, and what went
// wrong on the way said in a sentence that names the variable.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Log } from '../deps.ts';
import type { Settings } from '../env.ts';
import { ProblemError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import {
  applyMigrations,
  compareMigrations,
  type Migration,
  type MigrationSteps,
} from '../store/migrations.ts';
import { openPglite } from '../store/open-pglite.ts';
import { openPostgres } from '../store/open-postgres.ts';
import { grantService, ownsTables } from '../store/service-role.ts';
import { databaseFault } from './database-faults.ts';

export const root = resolve(import.meta.dirname, '..', '..');

type Addresses = { databaseUrl: string; databaseOwnerUrl: string | undefined };

/** The files of migrations/, in order. */
export function readMigrations(): Migration[] {
  const folder = join(root, 'migrations');
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return names.sort().map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

export async function openDatabase({ databaseUrl, dataDir }: Settings): Promise<Database> {
  if (databaseUrl !== undefined) return openPostgres({ url: databaseUrl });
  const folder = resolve(dataDir, 'pglite');
  try {
    mkdirSync(folder, { recursive: true });
    return await openPglite({ dataDir: folder });
  } catch (cause) {
    throw new ProblemError(
      'unavailable',
      `CW_DATA_DIR: the database in ${folder} cannot be opened: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Work on a database of an environment variable; what stands in its way becomes a sentence. */
export async function reaching<Value>(
  { variable, url }: { variable: string; url: string },
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (cause) {
    // What already names its variable is left as it is.
    const fault = cause instanceof ProblemError ? undefined : databaseFault(cause, url);
    if (fault === undefined) throw cause;
    throw new ProblemError('unavailable', `${variable}: ${fault}`, { cause });
  }
}

/** The variable whose role migrates. */
export function ownerOf({ databaseUrl, databaseOwnerUrl }: Addresses) {
  return databaseOwnerUrl === undefined
    ? { variable: 'DATABASE_URL', url: databaseUrl }
    : { variable: 'DATABASE_OWNER_URL', url: databaseOwnerUrl };
}

/** Work as the owner of the tables, on a connection that is closed afterwards. */
export async function asOwner<Value>(
  addresses: Addresses,
  work: (owner: Database) => Promise<Value>,
): Promise<Value> {
  const { variable, url } = ownerOf(addresses);
  // PgBouncer in transaction mode would let go of the lock, or keep it for good.
  if (URL.canParse(url) && /^[^.]+-pooler\./.test(new URL(url).hostname)) {
    throw new ProblemError(
      'unprocessable',
      `${variable} names Neon's pooler, which cannot hold the lock that migrating needs: take -pooler out of the host name.`,
    );
  }
  const owner = openPostgres({ url, connections: 1 });
  try {
    return await reaching({ variable, url }, () => work(owner));
  } finally {
    await owner.close();
  }
}

/** Migrates Postgres as the owner and lets the role of DATABASE_URL do what a service needs. */
export async function migratePostgres(
  addresses: Addresses,
  steps: MigrationSteps,
): Promise<{ applied: string[]; granted: string | undefined; ownsTables: boolean }> {
  return await asOwner(addresses, async (owner) => {
    const applied = await applyMigrations(owner, readMigrations(), steps);
    const { databaseUrl, databaseOwnerUrl } = addresses;
    if (databaseOwnerUrl === undefined) {
      return { applied, granted: undefined, ownsTables: await ownsTables(owner.orm) };
    }
    const role = decodeURIComponent(new URL(databaseUrl).username);
    await grantService(owner.orm, role);
    return { applied, granted: role, ownsTables: false };
  });
}

/** What a start does before anything else: migrates, or with CW_MIGRATE=off only looks. */
export async function prepareSchema(
  database: Database,
  settings: Settings,
  log: Log,
): Promise<void> {
  const { databaseUrl, databaseOwnerUrl } = settings;
  if (!settings.migrate) return await requireSchema(database, log);
  const steps: MigrationSteps = {
    waiting: () => log('info', 'another process migrates this database; waiting for it'),
  };
  const done =
    databaseUrl === undefined
      ? { applied: await applyMigrations(database, readMigrations(), steps), ownsTables: false }
      : await migratePostgres({ databaseUrl, databaseOwnerUrl }, steps);
  if (done.applied.length > 0) log('info', 'migrations applied', { applied: done.applied });
  if (done.ownsTables) {
    log('warn', 'the service owns its tables; see DATABASE_OWNER_URL in the README of api');
  }
}

// A newer schema is no reason to stay down: that is how one goes back to the version before.
async function requireSchema(database: Database, log: Log): Promise<void> {
  const { pending, unknown } = await compareMigrations(database.orm, readMigrations());
  if (pending.length > 0) {
    throw new ProblemError(
      'conflict',
      `The database lacks ${pending.length} migrations, from ${pending[0]} on, and CW_MIGRATE is off: run npm run migrate.`,
    );
  }
  if (unknown.length > 0) {
    log('warn', 'the database was migrated by a newer version', { unknown });
  }
}
