// `npm run migrate`: brings Postgres up to this version before the service starts, once, whoever
// else tries at the same time. --plan lists, --check exits with 1 where something is missing.

import { parseArgs } from 'node:util';
import { ProblemError } from './errors.ts';
import { asOwner, migratePostgres, readMigrations } from './node/database.ts';
import { settingsOf } from './node/settings.ts';
import { compareMigrations } from './store/migrations.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

type Addresses = { databaseUrl: string; databaseOwnerUrl: string | undefined };

function addresses(): Addresses {
  const { databaseUrl, databaseOwnerUrl } = settingsOf(process.env);
  if (databaseUrl !== undefined) return { databaseUrl, databaseOwnerUrl };
  throw new ProblemError(
    'unprocessable',
    'DATABASE_URL is not set. Embedded PGlite belongs to one process: npm start migrates it.',
  );
}

async function migrate(): Promise<number> {
  let started = performance.now();
  const { applied, granted, ownsTables } = await migratePostgres(addresses(), {
    waiting: () => say('another process migrates this database; waiting for it'),
    applied: (name) => {
      say(`${name}  ${(performance.now() - started).toFixed(0)} ms`);
      started = performance.now();
    },
  });
  say(applied.length === 0 ? 'nothing to migrate' : `${applied.length} migrations applied`);
  if (granted !== undefined) say(`role ${granted} may do what the service needs`);
  if (ownsTables) say('this role owns the tables: give the service one of its own (api/README.md)');
  return 0;
}

/** Lists without changing anything; the exit code where something stands in the way, else 0. */
async function look({ checking }: { checking: boolean }): Promise<number> {
  const state = await asOwner(addresses(), (owner) =>
    compareMigrations(owner.orm, readMigrations()),
  );
  for (const name of checking ? [] : state.applied) say(`applied  ${name}`);
  for (const name of state.pending) say(`pending  ${name}`);
  for (const name of state.unknown) say(`unknown  ${name}  of a newer version`);
  for (const name of state.edited) say(`edited   ${name}  after it was applied`);
  const wrong = state.unknown.length + state.edited.length;
  if (state.pending.length + wrong === 0) say('nothing to migrate');
  return checking && state.pending.length + wrong > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      plan: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
    },
  });
  return values.plan || values.check ? await look({ checking: values.check }) : await migrate();
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error & { code?: string }) => {
    const usage = error.code?.startsWith('ERR_PARSE_ARGS') ?? false;
    const known = usage || error instanceof ProblemError;
    process.stderr.write(`cannot migrate: ${known ? error.message : error.stack}\n`);
    process.exitCode = usage ? 2 : 1;
  },
);
