// infra/backup.md, done: dumped from one Postgres and restored into another with pg_dump and
// pg_restore, and embedded PGlite as a copy of its folder. What was restored works, holds its
// walls, and where it is older than an anchored head that is noticed.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migratePostgres } from '../../api/node/database.ts';
import { readMigrations } from '../../api/node.ts';
import { anchorHeads } from '../../api/services/audit/head.ts';
import { type Database, rows } from '../../api/store/database.ts';
import { applyMigrations, compareMigrations } from '../../api/store/migrations.ts';
import { openPglite } from '../../api/store/open-pglite.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { ownsTables } from '../../api/store/service-role.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';
import { commandLine } from '../support/command-line.ts';
import {
  type SystemPostgres,
  startSystemPostgres,
  systemPostgresFolder,
} from '../support/system-postgres.ts';

const folder = mkdtempSync(join(tmpdir(), 'counterweight-backup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes down the head of the chain as the service does with CW_AUDIT_ANCHOR. */
async function anchored(api: TestApp, name: string): Promise<string> {
  const lines: string[] = [];
  const write = async (head: object) => void lines.push(`${JSON.stringify(head)}\n`);
  api.moveClock(3_600_000);
  await anchorHeads({ ...api.deps, anchor: { target: name, write } });
  const path = join(folder, name);
  writeFileSync(path, lines.join(''));
  return path;
}

/** The check of the page: export the chain, hold it against heads that were kept elsewhere. */
async function verified(api: TestApp, anchor: string) {
  const exported = join(folder, 'audit.ndjson');
  writeFileSync(exported, await (await api.send('GET', '/v1/audit/export')).text());
  const { code, said } = await commandLine(api, ['verify', 'audit', exported, '--anchor', anchor]);
  return { code, said };
}

const snapshotText = async (api: TestApp, digest: string) => {
  const accept = { accept: 'application/x-ndjson' };
  return await (await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, accept)).text();
};

const later = (api: TestApp) =>
  must(api, 201, 'POST', '/v1/datasets', { name: 'later', attributes: {} });

const bin = systemPostgresFolder();

describe.skipIf(bin === null)('a dump of Postgres', () => {
  const clusters: SystemPostgres[] = [];
  const databases: Database[] = [];
  let digest: string;
  let text: string;
  let heads: { early: string; late: string };
  let dump: string;
  const role = (cluster: SystemPostgres, statement: string) =>
    cluster.program('psql', '-d', cluster.url('postgres', 'postgres'), '-c', statement);
  const open = (url: string) => {
    const database = openPostgres({ url, connections: 3 });
    databases.push(database);
    return database;
  };

  beforeAll(async () => {
    for (let k = 0; k < 2; k++) clusters.push(await startSystemPostgres(bin ?? ''));
    const [from] = clusters;
    role(from, 'create role owner login superuser');
    role(from, 'create role counterweight login');
    role(from, 'create database counterweight owner owner');
    const [service, owner] = ['counterweight', 'owner'].map((name) =>
      from.url(name, 'counterweight'),
    );
    await migratePostgres({ databaseUrl: service, databaseOwnerUrl: owner }, {});
    const api = await openTestApp({ database: open(service) });
    const { snapshot } = await frozenSnapshot(api);
    digest = snapshot.digest;
    text = await snapshotText(api, digest);
    const early = await anchored(api, 'early.ndjson');
    dump = join(folder, 'counterweight.dump');
    from.program('pg_dump', '--format=custom', `--file=${dump}`, owner);
    await later(api);
    heads = { early, late: await anchored(api, 'late.ndjson') };
  }, 120_000);
  afterAll(async () => {
    for (const database of databases) await database.close();
    for (const cluster of clusters) await cluster.stop();
  });

  test('cannot be restored where the role of the service is missing, and says so', () => {
    const [, to] = clusters;
    role(to, 'create role owner login superuser');
    role(to, 'create database early owner owner');
    const restore = () =>
      to.program('pg_restore', '--exit-on-error', `--dbname=${to.url('owner', 'early')}`, dump);
    expect(restore).toThrow('role "counterweight" does not exist');
  });

  test('restored elsewhere is the same service, with its walls', async () => {
    const [, to] = clusters;
    role(to, 'create role counterweight login');
    role(to, 'create database counterweight owner owner');
    const owner = to.url('owner', 'counterweight');
    to.program('pg_restore', '--exit-on-error', `--dbname=${owner}`, dump);
    const api = await openTestApp({
      database: open(to.url('counterweight', 'counterweight')),
      process: 2,
    });
    expect(await compareMigrations(api.database.orm, readMigrations())).toMatchObject({
      ...{ pending: [], unknown: [], edited: [] },
    });
    expect(await must(api, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
    expect(await snapshotText(api, digest)).toBe(text);
    expect(await verified(api, heads.early)).toMatchObject({ code: 0 });
    expect(await ownsTables(api.database.orm)).toBe(false);
    const foreign = api.database.within('of-nobody');
    expect(await rows(foreign, sql`select * from datasets`)).toEqual([]);
    await expect(api.database.script('delete from audit_entries')).rejects.toThrow('permission');
    const forged = open(owner).script("update audit_entries set actor = 'x'");
    await expect(forged).rejects.toThrow();
  });

  test('that is older than the head which was written down is noticed', async () => {
    const [, to] = clusters;
    const api = await openTestApp({
      database: open(to.url('counterweight', 'counterweight')),
      process: 2,
    });
    expect(await must(api, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
    const { code, said } = await verified(api, heads.late);
    expect(code).toBe(1);
    expect(said).toMatch(/the end was cut off: line 1 of .*late\.ndjson names entry \d+/);
    // Going on from there does not hide it: the entry has another hash.
    await later(api);
    await must(api, 201, 'POST', '/v1/datasets', { name: 'more', attributes: {} });
    expect((await verified(api, heads.late)).code).toBe(1);
  });
});

describe('a copy of the folder of PGlite', () => {
  test('made while the service was stopped is the same service', async () => {
    const [dataDir, copy] = ['pglite', 'copy'].map((name) => join(folder, name));
    const first = await openPglite({ dataDir });
    await applyMigrations(first, readMigrations());
    const api = await openTestApp({ database: first });
    const { snapshot } = await frozenSnapshot(api);
    const text = await snapshotText(api, snapshot.digest);
    const head = await anchored(api, 'pglite.ndjson');
    await first.close();
    cpSync(dataDir, copy, { recursive: true });
    const second = await openPglite({ dataDir: copy });
    const restored = await openTestApp({ database: second, process: 2 });
    expect(await must(restored, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
    expect(await snapshotText(restored, snapshot.digest)).toBe(text);
    expect(await verified(restored, head)).toMatchObject({ code: 0 });
    await later(restored);
    await second.close();
  }, 120_000);
});
