// `npm run migrate` as an operator runs it, and what a start says of a schema that it does not
// migrate itself: real processes on real Postgres.

import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readMigrations } from '../../api/node.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { root } from '../house-rules/repository.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const newest = readMigrations().at(-1)?.name ?? '';
const many = readMigrations().length;

type Ended = { code: number; stdout: string; stderr: string };

function node(entry: string, args: string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    const given = { PATH: process.env.PATH ?? '', ...env };
    const all = ['--import', 'tsx', entry, ...args];
    execFile(process.execPath, all, { cwd: root, env: given }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe.skipIf(noPostgres())('migrating', () => {
  let postgres: TestPostgres;
  let env: Record<string, string>;
  beforeAll(async () => {
    postgres = await startPostgres();
    await postgres.owner.script('create database fresh');
    const { owner, service } = postgres.urls;
    const at = (url: string) => url.replace(/postgres$/, 'fresh');
    env = { DATABASE_URL: at(service), DATABASE_OWNER_URL: at(owner) };
  });
  afterAll(() => postgres?.stop());

  const migrate = (...args: string[]) => node('api/migrate.ts', args, env);

  test('a start that may not migrate says what is missing', async () => {
    const { code, stderr } = await node('api/node.ts', [], {
      ...env,
      CW_MIGRATE: 'off',
      PORT: '0',
    });
    expect(code).toBe(1);
    expect(stderr).toBe(
      `cannot start: The database lacks ${many} migrations, from 0001_core.sql on, and CW_MIGRATE is off: run npm run migrate.\n`,
    );
  }, 120_000);

  test('a start names the variable of the role that it could not enter as', async () => {
    const url = new URL(env.DATABASE_OWNER_URL);
    url.password = 'a-wrong-one';
    const { code, stderr } = await node('api/node.ts', [], {
      ...env,
      DATABASE_OWNER_URL: url.href,
    });
    expect([code, stderr]).toEqual([
      1,
      'cannot start: DATABASE_OWNER_URL: Postgres refuses the password of role "postgres".\n',
    ]);
  }, 120_000);

  test('two at once: one applies everything, the other finds nothing to do', async () => {
    expect(await migrate('--check')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`pending  ${newest}\n`),
    });
    const both = await Promise.all([migrate(), migrate()]);
    expect(both.map(({ code, stderr }) => [code, stderr])).toEqual(Array(2).fill([0, '']));
    const [last, first] = both.map(({ stdout }) => stdout).toSorted((a, b) => a.length - b.length);
    const times = first.match(/^\d{4}_\w+\.sql {2}\d+ ms$/gm) ?? [];
    expect(times).toHaveLength(many);
    expect(first).toContain(`${many} migrations applied\n`);
    expect(last).toContain('nothing to migrate\n');
    for (const { stdout } of both) expect(stdout).toContain('role counterweight may do what');
    expect(await migrate('--check')).toEqual({
      code: 0,
      stdout: 'nothing to migrate\n',
      stderr: '',
    });
  }, 120_000);

  test('a database of a newer version is refused in a sentence, and the plan shows why', async () => {
    const owner = openPostgres({ url: env.DATABASE_OWNER_URL, connections: 1 });
    await owner.script("insert into schema_migrations (name) values ('9999_future.sql')");
    const { code, stdout, stderr } = await migrate();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^cannot migrate: .*9999_future\.sql.*newer version.*\n$/);
    const plan = await migrate('--plan');
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain('unknown  9999_future.sql');
    await owner.script("delete from schema_migrations where name = '9999_future.sql'");
    await owner.close();
  }, 120_000);

  test.each([
    [{}, 'DATABASE_URL is not set. Embedded PGlite belongs to one process'],
    [{ DATABASE_URL: 'postgres://a:secret@127.0.0.1:1/b' }, 'nothing listens at 127.0.0.1:1'],
    [{ DATABASE_URL: 'postgres://a:secret@ep-x-pooler.invalid/b' }, 'take -pooler out'],
  ])(
    '%j ends with one line',
    async (given, said) => {
      const { code, stdout, stderr } = await node('api/migrate.ts', [], given);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^cannot migrate: [^\n]+\n$/);
      expect(stderr).toContain(said);
      expect(stderr).not.toContain('secret');
    },
    120_000,
  );

  test('a role that is missing, or may not migrate, is named', async () => {
    const url = new URL(env.DATABASE_URL);
    url.username = 'nobody';
    const missing = await node('api/migrate.ts', [], { ...env, DATABASE_URL: url.href });
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('create role NAME') });
    await postgres.owner.script('create database other');
    const alone = env.DATABASE_URL.replace(/fresh$/, 'other');
    const refused = await node('api/migrate.ts', [], { DATABASE_URL: alone });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^cannot migrate: .*role "counterweight" may not do this.*\n$/);
  }, 120_000);
});
