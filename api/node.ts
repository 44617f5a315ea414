// The Node entry: PGlite where DATABASE_URL is absent, `pg` where it is present; the
// reconciliation tick; a clean stop. Jobs outlive it: a restarted service adopts them.

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { readAnchor } from './anchors.ts';
import { createApp } from './app.ts';
import type { Deps, Log } from './deps.ts';
import type { LogLevel, Settings } from './env.ts';
import { ProblemError } from './errors.ts';
import type { ReadCredential } from './launchers/credentials.ts';
import { launcherRegistry } from './launchers/registry.ts';
import { jsonLog } from './logs.ts';
import { openDatabase, prepareSchema, reaching, root } from './node/database.ts';
import { createMetrics, type Metrics } from './node/metrics.ts';
import { listenForMetrics } from './node/metrics-listener.ts';
import { requestWitness } from './node/requests.ts';
import { doors, listen } from './node/server.ts';
import { settingsOf } from './node/settings.ts';
import { closeServer, stopOnSignals } from './node/stopping.ts';
import { startTicks } from './node/ticks.ts';
import { resolveName, sendToAddresses } from './node/webhooks.ts';
import { bootstrapAdmin } from './services/access.ts';
import { auditKeyOf } from './services/audit/signing.ts';
import { readWebhooks } from './webhooks.ts';

export { readMigrations } from './node/database.ts';

const logFrom = (from: LogLevel): Log =>
  jsonLog({
    from,
    now: () => new Date(),
    write: (line) => process.stderr.write(`${line}\n`),
  });

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
  const settings = settingsOf(process.env);
  try {
    const auditKey = await auditKeyOf(settings.auditSigningKey);
    const anchor = readAnchor(settings.auditAnchor, { appendLine });
    const webhooks = await readWebhooks(
      { key: settings.webhookKey, allow: settings.webhookAllow },
      { send: sendToAddresses, resolve: resolveName },
    );
    const stateDir = resolve(settings.dataDir, 'launches');
    const launcherOf = launcherRegistry({ stateDir, readCredential });
    // A field that no launcher knows stops the start, not the first job.
    for (const target of settings.targets) await launcherOf(target);
    return { settings, auditKey, anchor, webhooks, launcherOf };
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    throw new ProblemError('unprocessable', (cause as Error).message, { cause });
  }
}

/** The service on its database, ready for requests. */
async function prepare() {
  const { settings, auditKey, anchor, webhooks, launcherOf } = await configure();
  const log = logFrom(settings.logLevel);
  const database = await openDatabase(settings);
  const named = { variable: 'DATABASE_URL', url: settings.databaseUrl ?? '' };
  await reaching(named, () => prepareSchema(database, settings, log));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const targets = settings.targets.map(({ name }) => name);
  const metrics = settings.metrics && createMetrics(database, { targets, version });
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
    githubIssuers: settings.githubIssuers,
    githubAudience: settings.githubAudience,
    webhooks,
    version,
    log,
    witness: requestWitness(log, metrics?.request),
    ...doors(settings, database),
  };
  const made = await reaching(named, () => bootstrapAdmin(deps, settings.adminToken));
  if (made !== null) process.stdout.write(`admin token (shown only now): ${made}\n`);
  return { settings, deps, database, metrics };
}

async function listenMetrics(metrics: Metrics | undefined, { metrics: address }: Settings) {
  if (metrics === undefined || address === undefined) return () => {};
  try {
    return (await listenForMetrics(metrics, address)).close;
  } catch (cause) {
    throw new ProblemError('unavailable', `CW_METRICS: ${(cause as Error).message}`, { cause });
  }
}

async function main(): Promise<void> {
  const stop = stopOnSignals();
  const { settings, deps, database, metrics } = await prepare();
  const closeMetrics = await listenMetrics(metrics, settings);
  const server = await listen(createApp(deps).fetch, settings);
  const { port } = server.address() as AddressInfo;
  if (settings.publicUrl === undefined) deps.publicUrl = `http://127.0.0.1:${port}`;
  process.stdout.write(`listening on http://${hostOf(settings.listen)}:${port}\n`);
  const stopTicking = startTicks(deps, metrics?.tick);
  stop.with(async () => {
    closeMetrics();
    await Promise.all([closeServer(server), stopTicking()]);
    await database.close();
  });
}

if (existsSync(process.argv[1]) && resolve(process.argv[1]) === import.meta.filename) {
  main().catch((error: Error) => {
    // What whoever starts it can mend is a sentence; anything else needs its stack.
    if (error instanceof ProblemError) process.stderr.write(`cannot start: ${error.detail}\n`);
    else logFrom('error')('error', 'cannot start', { cause: error });
    process.exit(1);
  });
}
