// What stands between the service and Postgres, as sentences: with real errors of `pg` where a test
// can make one, and by their codes where not.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { databaseFault } from '../../api/node/database-faults.ts';
import { ping } from '../../api/store/database.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { freePort } from '../support/free-port.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

/** The sentence for what happens when somebody really asks that database. */
async function faultOf(url: string): Promise<string | undefined> {
  const database = openPostgres({ url, connections: 1 });
  const error = await ping(database.orm).catch((caught: unknown) => caught);
  await database.close();
  return databaseFault(error, url);
}

test('nobody who listens, by either name of this machine', async () => {
  const port = await freePort();
  for (const host of ['127.0.0.1', 'localhost']) {
    expect(await faultOf(`postgres://a:secret@${host}:${port}/b`)).toBe(
      `nothing listens at ${host}:${port}. Is Postgres running there, and is the port right?`,
    );
  }
});

test('a host that does not exist', async () => {
  const said = await faultOf('postgres://a:secret@database.invalid/b');
  expect(said).toMatch(/database\.invalid/);
  expect(said).not.toMatch(/secret/);
});

const coded = (code: string) => Object.assign(new Error('raw words'), { code });

test.each([
  ['28000', /let role "a" in/],
  ['42501', /DATABASE_OWNER_URL/],
  ['53300', /max_connections/],
  ['57P03', /starting up/],
  ['ETIMEDOUT', /firewall/],
])('code %s, however deep it is wrapped', (code, said) => {
  const url = 'postgres://a:secret@db/b';
  const wrapped = new Error('outside', { cause: new Error('drizzle', { cause: coded(code) }) });
  const fault = databaseFault(wrapped, url);
  expect(fault).toMatch(said);
  expect(fault).not.toMatch(/secret|raw words/);
  expect(fault).toBe(databaseFault(new AggregateError([coded(code)]), url));
});

test('what is no fault of reaching a database is left alone', () => {
  const url = 'postgres://a@db/b';
  expect(databaseFault(coded('42P01'), url)).toBeUndefined();
  expect(databaseFault(new TypeError('x is not a function'), url)).toBeUndefined();
  expect(databaseFault('a text', url)).toBeUndefined();
});

test('an address that is none that URL reads still gets a sentence', () => {
  expect(databaseFault(coded('ECONNREFUSED'), 'socket:/var/run?db=x')).toContain('nothing listens');
});

describe.skipIf(noPostgres())('a Postgres that refuses', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  const altered = (change: (url: URL) => void) => {
    const url = new URL(postgres.urls.service);
    change(url);
    return url.href;
  };

  test('says which password, and not what it was', async () => {
    const said = await faultOf(altered((url) => (url.password = 'a-wrong-one')));
    expect(said).toBe('Postgres refuses the password of role "counterweight".');
  });

  test('says which database is missing', async () => {
    const said = await faultOf(altered((url) => (url.pathname = '/nonesuch')));
    expect(said).toBe('there is no database "nonesuch": createdb makes one.');
  });
});
