// compose.yaml as Compose reads it, held against the image, the scripts beside it and the service's
// own settings, each rule with a mutant; and the scripts, run. No Docker has started it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readEnvironment } from '../../api/env.ts';
import { readDockerfile, stagesUpTo } from '../../trainer/gpu/dockerfile.ts';
import { root } from '../house-rules/repository.ts';
import { noPostgres, startPostgres } from '../support/postgres.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const text = read('infra/compose.yaml');

type Service = {
  image: string;
  build?: { context: string; dockerfile: string };
  command?: string[];
  environment: Record<string, string>;
  secrets: string[];
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  [field: string]: unknown;
};
type Compose = {
  services: Record<'postgres' | 'migrate' | 'api', Service>;
  volumes: Record<string, null>;
  secrets: Record<string, { file: string }>;
};

const composed = (file: string): Compose => parse(file);
/** `${NAME:-default}` as Compose fills it in where NAME is not set. */
const filled = (value: string) => value.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
const ours = (file: string) => {
  const { api, migrate } = composed(file).services;
  return [api, migrate];
};

let secrets: string;
let made: { status: number | null };
beforeAll(() => {
  secrets = join(mkdtempSync(join(tmpdir(), 'cw-compose-')), 'secrets');
  made = makeSecrets();
});
afterAll(() => rmSync(join(secrets, '..'), { recursive: true, force: true }));

const makeSecrets = () =>
  spawnSync('sh', [join(root, 'infra/compose/secrets.sh'), secrets], { encoding: 'utf8' });
const secretOf = (name: string) => readFileSync(join(secrets, name), 'utf8');

test('secrets.sh makes what compose.yaml names, for nobody else, and never replaces it', () => {
  expect(made).toMatchObject({ status: 0 });
  const named = Object.entries(composed(text).secrets);
  expect(readdirSync(secrets).toSorted()).toEqual(named.map(([name]) => name).toSorted());
  for (const [name, { file }] of named) expect(file).toBe(`./compose/secrets/${name}`);
  expect(statSync(secrets).mode & 0o777).toBe(0o700);
  const before = secretOf('owner_url');
  expect(makeSecrets()).toMatchObject({ status: 1, stderr: expect.stringContaining('there') });
  expect(secretOf('owner_url')).toBe(before);
  expect(secretOf('service_password')).toMatch(/^[0-9a-f]{48}$/);
  expect(secretOf('service_password')).not.toBe(secretOf('owner_password'));
});

test.each(['api', 'migrate'] as const)('the service reads what %s is given', (name) => {
  const { environment } = composed(text).services[name];
  const env = Object.entries(environment).map(([key, value]) => [key, filled(String(value))]);
  const settings = readEnvironment(Object.fromEntries(env), (path) =>
    readFileSync(path.replace('/run/secrets', secrets), 'utf8'),
  );
  const { POSTGRES_DB, POSTGRES_USER } = composed(text).services.postgres.environment;
  const url = new URL(settings.databaseUrl ?? '');
  expect([url.hostname, url.pathname]).toEqual(['postgres', `/${POSTGRES_DB}`]);
  expect(url.password).toBe(secretOf('service_password'));
  expect(read('infra/compose/roles.sh')).toContain(`create role ${url.username} login`);
  if (name === 'api') {
    expect(settings).toMatchObject({ migrate: false, targets: [], databaseOwnerUrl: undefined });
    expect(settings.adminToken).toBe(secretOf('admin_token'));
  } else {
    expect(new URL(settings.databaseOwnerUrl ?? '').username).toBe(POSTGRES_USER);
  }
});

type Rule = { name: string; holds: (file: string) => boolean; mutant: [string, string] };
const rules: Rule[] = [
  {
    name: 'the port is bound to the loopback address of the machine',
    holds: (file) =>
      Object.values(composed(file).services)
        .flatMap(({ ports = [] }) => ports)
        .every((port) => /^127\.0\.0\.1:\d+:8787$/.test(port)),
    mutant: ['"127.0.0.1:8787:8787"', '"8787:8787"'],
  },
  {
    name: 'the service waits until the database is migrated, which waits until it is healthy',
    holds: (file) => {
      const { api, migrate, postgres } = composed(file).services;
      return (
        api.depends_on?.migrate.condition === 'service_completed_successfully' &&
        migrate.depends_on?.postgres.condition === 'service_healthy' &&
        postgres.healthcheck !== undefined
      );
    },
    mutant: ['service_completed_successfully', 'service_started'],
  },
  {
    name: 'only migrating knows the password of the owner',
    holds: (file) => {
      const { api, migrate } = composed(file).services;
      return migrate.secrets.includes('owner_url') && !/owner/.test(api.secrets.join());
    },
    mutant: ['secrets: [service_url, admin_token]', 'secrets: [service_url, owner_url]'],
  },
  {
    name: 'no secret stands in an environment, and each that is read is mounted',
    holds: (file) =>
      Object.values(composed(file).services).every(({ environment, secrets: mounted }) =>
        Object.entries(environment).every(([name, value]) => {
          if (!/PASSWORD|TOKEN|DATABASE/.test(name)) return true;
          const [, secret] = /^(?:file:)?\/run\/secrets\/(\w+)$/.exec(value) ?? [];
          return secret !== undefined && mounted.includes(secret);
        }),
      ),
    mutant: ['CW_ADMIN_TOKEN: file:/run/secrets/admin_token', 'CW_ADMIN_TOKEN: $TOKEN'],
  },
  {
    name: 'ours run without rights, on a read-only root with /tmp',
    holds: (file) =>
      ours(file).every(
        (one) =>
          one.read_only === true &&
          String(one.cap_drop) === 'ALL' &&
          String(one.tmpfs) === '/tmp' &&
          String(one.security_opt) === 'no-new-privileges:true',
      ),
    mutant: ['read_only: true', 'read_only: false'],
  },
  {
    name: 'ours are built from the Dockerfile, and migrating is what npm run migrate is',
    holds: (file) => {
      const { scripts } = JSON.parse(read('package.json'));
      return (
        composed(file).services.migrate.command?.join(' ') === scripts.migrate &&
        ours(file).every(({ build }) => existsSync(join(root, build?.dockerfile ?? 'none')))
      );
    },
    mutant: ['api/migrate.ts', 'api/node.ts'],
  },
  {
    name: 'what has to last is in volumes, and what is mounted is there',
    holds: (file) => {
      const { services, volumes } = composed(file);
      const mounts = Object.values(services).flatMap(({ volumes: all = [] }) => all);
      const dockerfile = readDockerfile(read('infra/node/Dockerfile'));
      const { instructions } = stagesUpTo(dockerfile, 'service').at(-1)!;
      const volume = instructions.find(({ keyword }) => keyword === 'VOLUME')?.text ?? '[]';
      return (
        mounts.includes(`data:${JSON.parse(volume)[0]}`) &&
        mounts.includes('database:/var/lib/postgresql/data') &&
        mounts.every((mount) => {
          const [from] = mount.split(':');
          return from.startsWith('.') ? existsSync(join(root, 'infra', from)) : from in volumes;
        })
      );
    },
    mutant: ['- data:/data', '- data:/var/data'],
  },
  {
    name: 'what has to run is started again, with time to end',
    holds: (file) => {
      const { api, postgres } = composed(file).services;
      const lasting = [api, postgres].every(({ restart }) => restart === 'unless-stopped');
      return lasting && Number.parseInt(String(api.stop_grace_period), 10) > 5;
    },
    mutant: ['stop_grace_period: 15s', 'stop_grace_period: 3s'],
  },
];

test.each(rules)('$name', ({ holds, mutant: [from, to] }) => {
  expect(holds(text)).toBe(true);
  expect(text).toContain(from);
  expect(holds(text.replaceAll(from, to))).toBe(false);
});

const noPsql = spawnSync('psql', ['--version']).status !== 0;
if (noPsql) {
  process.stderr.write('SKIPPED: infra/compose/roles.sh, which needs psql (postgresql-client)\n');
}

describe.skipIf(noPsql || noPostgres())('roles.sh', () => {
  test('makes a role that enters with its password and owns nothing', async () => {
    const postgres = await startPostgres();
    const { hostname, port, password } = new URL(postgres.urls.owner);
    // The cluster is fresh, but for the role that its tests have.
    await postgres.owner.script('alter role counterweight rename to another');
    await postgres.owner.script('create database fresh');
    const env = {
      PATH: process.env.PATH ?? '',
      ...{ PGHOST: hostname, PGPORT: port, PGPASSWORD: password },
      ...{ POSTGRES_USER: 'postgres', POSTGRES_DB: 'fresh' },
      SERVICE_PASSWORD_FILE: join(secrets, 'service_password'),
    };
    const role = spawnSync('sh', [join(root, 'infra/compose/roles.sh')], { env, encoding: 'utf8' });
    expect(role).toMatchObject({ status: 0, stderr: '' });
    const asked = spawnSync(
      'psql',
      ['--no-psqlrc', '-At', '-U', 'counterweight', 'fresh', '-c', 'create table public.x ()'],
      { env: { ...env, PGPASSWORD: secretOf('service_password') }, encoding: 'utf8' },
    );
    expect(asked.stderr).toContain('permission denied for schema public');
    await postgres.stop();
  });
});
