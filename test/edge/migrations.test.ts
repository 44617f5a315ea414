// A Worker does not migrate: where its tables are missing or older than it, it says so and serves
// nothing, and goes on by itself when they are there.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newestMigration } from '../../api/store/migrations.ts';
import { type Neon, startNeon } from '../stacks/stack.ts';
import { noPostgres } from '../support/postgres.ts';
import { startWorker, type TestWorker } from '../support/worker.ts';

const adminToken = 'cw_admin_before_its_tables';

describe.skipIf(noPostgres())('a Worker before its migrations', () => {
  let neon: Neon;
  let worker: TestWorker;
  beforeAll(async () => {
    neon = await startNeon();
    worker = await startWorker({
      DATABASE_URL: neon.postgres.urls.service,
      CW_NEON_PROXY: neon.bridge.proxy,
      CW_ADMIN_TOKEN: adminToken,
    });
  });
  afterAll(async () => {
    await worker?.stop();
    await neon?.stop();
  });

  const asked = async (path: string) => {
    const headers = { authorization: `Bearer ${adminToken}` };
    const response = await fetch(worker.url + path, { headers });
    return { status: response.status, body: (await response.json()) as any };
  };
  const refused = { status: 503, body: { detail: expect.stringContaining('lacks tables') } };

  test('serves nothing while there are none, or older ones, and then everything', async () => {
    const { orm } = neon.postgres.owner;
    await orm.execute(sql`alter table schema_migrations rename to not_yet`);
    expect(await asked('/v1/datasets')).toMatchObject(refused);
    expect(await worker.cron()).toBe('exception');
    await orm.execute(sql`alter table not_yet rename to schema_migrations`);
    await orm.execute(sql`delete from schema_migrations where name = ${newestMigration}`);
    expect(await asked('/health')).toMatchObject(refused);
    expect(await asked('/v1/datasets')).toMatchObject(refused);
    await orm.execute(sql`insert into schema_migrations (name) values (${newestMigration})`);
    expect(await worker.cron()).toBe('ok');
    expect(await asked('/health')).toMatchObject({ status: 200 });
    expect(await asked('/v1/datasets')).toMatchObject({ status: 200, body: { items: [] } });
  });
});
