// The Node entry: PGlite where DATABASE_URL is absent, `pg` where it is present; the
// reconciliation tick; a clean stop. Jobs outlive it: a restarted service adopts them.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { serve } from '@hono/node-server';
import { readAnchor } from './anchors.ts';
import { createApp } from './app.ts';
import type { Deps, Log } from './deps.ts';
import { readEnvironment, type Settings } from './env.ts';
import { ProblemError } from './errors.ts';
import type { ReadCredential } from './launchers/credentials.ts';
import { launcherRegistry } from './launchers/registry.ts';
import { bootstrapAdmin } from './services/access.ts';
import { anchorHeads } from './services/audit/head.ts';
import { auditKeyOf } from './services/audit/signing.ts';
import { startReconciling } from './services/jobs/reconcile.ts';
import type { Database } from './store/database.ts';
import { applyMigrations, type Migration } from './store/migrations.ts';
import { openPglite } from './store/open-pglite.ts';
import { openPostgres } from './store/open-postgres.ts';
import { grantService, ownsTables } from './store/service-role.ts';

const root = resolve(import.meta.dirname, '..');
const tickMs = 1_000;
// On its own, so that a place that does not answer holds up no job.
const anchorMs = 10_000;

const log: Log = (level, message, fields = {}) => {
  const { cause, ...rest } = fields;
  const shown = cause instanceof Error ? { cause: cause.stack ?? cause.message } : {};
  process.stderr.write(
    `${JSON.stringify({ at: new Date().toISOString(), level, message, ...rest, ...shown })}\n`,
  );
};

/** The files of migrations/, in order. */
export function readMigrations(): Migration[] {
  const folder = join(root, 'migrations');
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return names.sort().map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
}

async function openDatabase(settings: Settings): Promise<Database> {
  if (settings.databaseUrl !== undefined) return openPostgres({ url: settings.databaseUrl });
  const dataDir = resolve(settings.dataDir, 'pglite');
  mkdirSync(dataDir, { recursive: true });
  return await openPglite({ dataDir });
}

// With DATABASE_OWNER_URL the owner migrates and the service works as a role without tables.
async function migrate(database: Database, settings: Settings): Promise<string[]> {
  const { databaseUrl, databaseOwnerUrl } = settings;
  if (databaseUrl === undefined) return await applyMigrations(database, readMigrations());
  const owner = openPostgres({ url: databaseOwnerUrl ?? databaseUrl, connections: 1 });
  try {
    const applied = await applyMigrations(owner, readMigrations());
    if (databaseOwnerUrl !== undefined) {
      await grantService(owner.orm, decodeURIComponent(new URL(databaseUrl).username));
    } else if (await ownsTables(owner.orm)) {
      log('warn', 'the service owns its tables; see DATABASE_OWNER_URL in the README of api');
    }
    return applied;
  } finally {
    await owner.close();
  }
}

// One at a time, the next one that long after the last has ended.
function startTicking(
  work: () => Promise<void>,
  { everyMs, failed }: { everyMs: number; failed: string },
): () => Promise<void> {
  let stopped = false;
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const tick = () => {
    running = work()
      .catch((cause: unknown) => log('error', failed, { cause }))
      .then(() => {
        if (!stopped) timer = setTimeout(tick, everyMs);
      });
  };
  tick();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}

// A tick does not wait for the engines that it asks: one that hangs holds up no other target.
function startReconcileTicks(deps: Deps): () => Promise<void> {
  const failed = 'the reconciliation tick failed';
  const asking = new Set<Promise<void>>();
  const stop = startTicking(
    async () => {
      for (const target of await startReconciling(deps)) {
        const done = target
          .catch((cause: unknown) => log('error', failed, { cause }))
          .then(() => {
            asking.delete(done);
          });
        asking.add(done);
      }
    },
    { everyMs: tickMs, failed },
  );
  return async () => {
    await stop();
    await Promise.all(asking);
  };
}

function startTicks(deps: Deps): () => Promise<void> {
  const stops = [
    startReconcileTicks(deps),
    startTicking(() => anchorHeads(deps), {
      everyMs: anchorMs,
      failed: 'the heads of the audit chains could not be read',
    }),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** Appends a line and waits until the disk has it. */
async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, 'a');
  try {
    await file.appendFile(line);
    await file.sync();
  } finally {
    await file.close();
  }
}

// 0.0.0.0 and :: are every address, the loopback one among them.
function hostOf(address: string): string {
  if (address === '0.0.0.0' || address === '::') return '127.0.0.1';
  return address.includes(':') ? `[${address}]` : address;
}

/** The secret that a target's `credentials` name, read for each use: files of secrets rotate. */
const readCredential: ReadCredential = async (where) => {
  if ('file' in where) return await readFile(where.file, 'utf8');
  const value = process.env[where.env];
  if (value === undefined) throw new Error(`the variable ${where.env} is not set`);
  return value;
};

/** What the environment says; a ProblemError where that is wrong, whoever noticed. */
async function configure() {
  try {
    const settings = readEnvironment(process.env, (path) => readFileSync(path, 'utf8'));
    const auditKey = await auditKeyOf(settings.auditSigningKey);
    const anchor = readAnchor(settings.auditAnchor, { appendLine });
    const stateDir = resolve(settings.dataDir, 'launches');
    const launcherOf = launcherRegistry({ stateDir, readCredential });
    // A field that no launcher knows stops the start, not the first job.
    for (const target of settings.targets) await launcherOf(target);
    return { settings, auditKey, anchor, launcherOf };
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    throw new ProblemError('unprocessable', (cause as Error).message, { cause });
  }
}

async function main(): Promise<void> {
  const { settings, auditKey, anchor, launcherOf } = await configure();
  const database = await openDatabase(settings);
  const applied = await migrate(database, settings);
  if (applied.length > 0) log('info', 'migrations applied', { applied });
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const deps: Deps = {
    process: {},
    database,
    now: () => new Date(),
    randomBytes: (count) => randomBytes(count),
    targets: settings.targets,
    launcherOf,
    publicUrl: settings.publicUrl ?? `http://127.0.0.1:${settings.port}`,
    auditKey,
    anchor,
    version,
    log,
  };
  const made = await bootstrapAdmin(deps, settings.adminToken);
  if (made !== null) process.stdout.write(`admin token (shown only now): ${made}\n`);
  const app = createApp(deps);
  const server = serve({ fetch: app.fetch, port: settings.port, hostname: settings.listen });
  server.on('error', (error: Error) => {
    log('error', `cannot listen on ${settings.listen}:${settings.port}: ${error.message}`);
    process.exit(1);
  });
  server.on('listening', () => {
    const { port } = server.address() as AddressInfo;
    if (settings.publicUrl === undefined) deps.publicUrl = `http://127.0.0.1:${port}`;
    process.stdout.write(`listening on http://${hostOf(settings.listen)}:${port}\n`);
    const stopTicking = startTicks(deps);
    let stopping = false;
    const stop = async () => {
      // Under npm one Ctrl-C arrives twice; the second must not cut the first short.
      if (stopping) return;
      stopping = true;
      server.close();
      await stopTicking();
      await database.close();
      process.exit(0);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}

if (existsSync(process.argv[1]) && resolve(process.argv[1]) === import.meta.filename) {
  main().catch((error: Error) => {
    // What whoever starts it can mend is a sentence; anything else needs its stack.
    if (error instanceof ProblemError) process.stderr.write(`cannot start: ${error.detail}\n`);
    else log('error', 'cannot start', { cause: error });
    process.exit(1);
  });
}
