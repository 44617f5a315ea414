// The environment of the service: what is wrong stops the start with the name of the variable.

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
    databaseUrl: undefined,
    databaseOwnerUrl: undefined,
    dataDir: '.counterweight',
    targets: [{ name: 'local', engine: 'local' }],
  });
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
  [{ DATABASE_OWNER_URL: owner }, 'DATABASE_OWNER_URL needs DATABASE_URL'],
  [{ DATABASE_URL: owner, DATABASE_OWNER_URL: owner }, 'must name two different roles'],
  [{ CW_TARGETS: '[{' }, 'the JSON in CW_TARGETS'],
  [{ CW_TARGETS: 'targets.json' }, 'targets.json'],
  [{ CW_TARGETS: '[{"name": "x", "engine": "abacus"}]' }, 'CW_TARGETS: /0/engine'],
])('%j stops the start', (env, said) => {
  expect(() => read(env as Record<string, string>)).toThrow(said);
});
