// The environment of the service: what is wrong stops the start with the name of the variable.

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readEnvironment } from '../api/env.ts';

const noFile = (path: string): string => {
  throw new Error(`no file ${path}`);
};
const read = (env: Record<string, string>) => readEnvironment(env, noFile);

const service = 'postgres://counterweight:secret@db:5432/app';
const owner = 'postgres://owner:secret@db:5432/app';

test('without anything: embedded Postgres, port 8787, one local target', () => {
  expect(read({})).toMatchObject({
    port: 8787,
    listen: '127.0.0.1',
    databaseUrl: undefined,
    databaseOwnerUrl: undefined,
    dataDir: '.counterweight',
    targets: [{ name: 'local', engine: 'local' }],
    githubIssuers: [],
    githubAudience: undefined,
    webhookKey: undefined,
    webhookAllow: undefined,
    budgets: { token: { perSecond: 200, burst: 2000 } },
    trustedProxies: [],
    corsOrigins: [],
  });
});

test('issuers of GitHub are addresses, or say where their keys are', () => {
  const ghes = 'https://ghes.example/_services/token';
  const jwks = `${ghes}/.well-known/jwks`;
  const issuersOf = (text: string) => read({ CW_GITHUB_ISSUERS: text }).githubIssuers;
  const local = 'http://127.0.0.1:9000';
  expect(issuersOf(`${ghes}, ${local}`)).toEqual([
    { issuer: ghes, jwks },
    { issuer: local, jwks: `${local}/.well-known/jwks` },
  ]);
  const elsewhere = { issuer: ghes, jwks: 'https://keys.example/ghes' };
  expect(issuersOf(JSON.stringify([elsewhere, local]))).toEqual([
    elsewhere,
    { issuer: local, jwks: `${local}/.well-known/jwks` },
  ]);
});

test('keys stand in the variable itself or in a file', () => {
  const env = { CW_WEBHOOK_KEY: 'file:/run/key', CW_AUDIT_SIGNING_KEY: 'itself' };
  const settings = readEnvironment(env, (path) => `what ${path} holds`);
  expect(settings).toMatchObject({ webhookKey: 'what /run/key holds', auditSigningKey: 'itself' });
  expect(() => read(env)).toThrow('the file /run/key named by CW_WEBHOOK_KEY cannot be read');
});

test('what a deployment may turn on or off', () => {
  expect(read({})).toMatchObject({ migrate: true, metrics: undefined, logLevel: 'info' });
  const given = {
    DATABASE_URL: service,
    CW_MIGRATE: 'off',
    CW_METRICS: '[::1]:9464',
    CW_LOG: 'warn',
  };
  expect(read(given)).toMatchObject({
    migrate: false,
    metrics: { host: '::1', port: 9464 },
    logLevel: 'warn',
  });
});

test('a secret may be the path of a file, whose last newline is none of it', () => {
  const files: Record<string, string> = {
    '/s/url': `${service}\n`,
    '/s/token': 'cw_x',
    '/s/no': '\n',
  };
  const readFile = (path: string) => files[path] ?? noFile(path);
  const env = { DATABASE_URL: 'file:/s/url', CW_ADMIN_TOKEN: 'file:/s/token' };
  expect(readEnvironment(env, readFile)).toMatchObject({
    databaseUrl: service,
    adminToken: 'cw_x',
  });
  for (const path of ['/s/no', '/s/gone']) {
    const wrong = { ...env, CW_ADMIN_TOKEN: `file:${path}` };
    const said = `the file ${path} named by CW_ADMIN_TOKEN cannot be read`;
    expect(() => readEnvironment(wrong, readFile)).toThrow(said);
  }
});

test('the owner of the tables is named beside the role of the service', () => {
  expect(read({ DATABASE_URL: service, DATABASE_OWNER_URL: owner })).toMatchObject({
    databaseUrl: service,
    databaseOwnerUrl: owner,
  });
  expect(read({ DATABASE_URL: service, DATABASE_OWNER_URL: '' }).databaseOwnerUrl).toBeUndefined();
});

test.each([
  [{ PORT: 'eighty' }, 'PORT must be a port number'],
  [{ PORT: '70000' }, 'PORT must be a port number'],
  [{ CW_LISTEN: 'http://10.0.0.1' }, 'CW_LISTEN must be an address'],
  [{ CW_MIGRATE: 'off' }, 'CW_MIGRATE=off needs DATABASE_URL'],
  [{ CW_MIGRATE: 'later' }, 'CW_MIGRATE must be on or off'],
  [{ CW_METRICS: '9464' }, 'CW_METRICS must be an address and a port'],
  [{ CW_METRICS: '127.0.0.1:94640' }, 'CW_METRICS must be an address and a port'],
  [{ CW_LOG: 'loud' }, 'CW_LOG must be one of debug, info, warn, error'],
  [{ DATABASE_OWNER_URL: owner }, 'DATABASE_OWNER_URL needs DATABASE_URL'],
  [{ DATABASE_URL: owner, DATABASE_OWNER_URL: owner }, 'must name two different roles'],
  [{ CW_RATE_LIMITS: 'much' }, 'CW_RATE_LIMITS is off, or address='],
  [{ CW_TRUSTED_PROXIES: 'the proxy' }, 'CW_TRUSTED_PROXIES is a list'],
  [{ CW_CORS_ORIGINS: '*' }, 'CW_CORS_ORIGINS is a list of exact origins'],
  [{ CW_TARGETS: '[{' }, 'the JSON in CW_TARGETS'],
  [{ CW_TARGETS: 'targets.json' }, 'targets.json'],
  [{ CW_TARGETS: '[{"name": "x", "engine": "abacus"}]' }, 'CW_TARGETS: target "x", engine: '],
  [{ CW_TARGETS: '[{"engine": "local"}]' }, 'CW_TARGETS: target number 1, name: '],
  [{ CW_TARGETS: '[null]' }, 'CW_TARGETS: target number 1: '],
  [
    { CW_TARGETS: '[{"name": "cluster", "engine": "slurm", "images": ["a:1"]}]' },
    'CW_TARGETS: target "cluster", images/0: "a:1" may come to mean another image',
  ],
  [{ CW_TARGETS: '{"name": "x", "engine": "local"}' }, 'put it in [ ]'],
  [
    { CW_TARGETS: '[{"name": "x", "engine": "local"}, {"name": "x", "engine": "local"}]' },
    'CW_TARGETS: two targets have the same name',
  ],
  [{ CW_GITHUB_ISSUERS: '[{' }, 'the JSON in CW_GITHUB_ISSUERS'],
  [{ CW_GITHUB_ISSUERS: 'ghes.example' }, 'CW_GITHUB_ISSUERS: number 1: '],
  [{ CW_GITHUB_ISSUERS: 'http://ghes.example/token' }, 'starts with https://'],
  [{ CW_GITHUB_ISSUERS: 'http://localhost.evil.example' }, 'starts with https://'],
  [{ CW_GITHUB_ISSUERS: 'https://a.example,https://a.example' }, 'an issuer is named twice'],
  [{ CW_GITHUB_ISSUERS: '[{"issuer": "https://a.example", "key": 1}]' }, 'CW_GITHUB_ISSUERS: '],
])('%j stops the start', (env, said) => {
  expect(() => read(env as Record<string, string>)).toThrow(said);
});

test.each([
  ['80000', '[]', 'PORT must be a port number from 0 to 65535, not "80000"'],
  ['0', '[{"name": "x", "engine": "local", "partition": "gpu"}]', 'Target "x" in CW_TARGETS: '],
])('port %s, targets %s: the start ends with a sentence', (PORT, CW_TARGETS, sentence) => {
  const env = { ...process.env, PORT, CW_TARGETS };
  const args = ['--import', 'tsx', 'api/node.ts'];
  const cwd = resolve(import.meta.dirname, '..');
  const { status, stderr } = spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr.startsWith(`cannot start: ${sentence}`)).toBe(true);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});
