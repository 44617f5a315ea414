// The service as a process on real Postgres: migrated by the owner, working as a role that owns
// nothing, and the same after a restart.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../trainer/client.ts';
import { type Io, systemIo } from '../../trainer/commands/io.ts';
import { pushFolder } from '../../trainer/commands/push.ts';
import { type DemoService, startService } from '../../trainer/demo/service.ts';
import { writePhantomDataset } from '../../trainer/phantom.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const io: Io = { ...systemIo, say: () => {}, terminal: false };

describe.skipIf(noPostgres())('a service on real Postgres', () => {
  let postgres: TestPostgres;
  const dataDir = mkdtempSync(join(tmpdir(), 'counterweight-on-postgres-'));
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  async function withService<Value>(
    database: { service: string; owner: string },
    act: (service: DemoService, said: string[]) => Promise<Value>,
  ): Promise<Value> {
    const said: string[] = [];
    const say = (line: string) => said.push(line);
    const service = await startService({ dataDir, port: 0, targets: [], say, database });
    try {
      return await act(service, said);
    } finally {
      await service.stop();
    }
  }
  const clientOf = ({ url, token }: DemoService) =>
    createClient({ api: url, token, fetch, sleep: async () => {} });

  test('keeps what was pushed over a restart, and says nothing of owning tables', async () => {
    const folder = await writePhantomDataset(mkdtempSync(join(tmpdir(), 'counterweight-pg-')), {
      cases: 10,
    });
    const options = { reason: 'import', split: 'five-fold' };
    const pushed = await withService(postgres.urls, async (service, said) => {
      expect(await clientOf(service).call('GET', '/health')).toMatchObject({
        status: 'ok',
        database: 'postgres',
      });
      const done = await pushFolder(io, clientOf(service), folder, options);
      expect(said).toEqual([]);
      return done;
    });
    await withService(postgres.urls, async (service) => {
      const path = '/v1/datasets/Phantom/versions/1';
      expect(await clientOf(service).call('GET', path)).toMatchObject({
        digest: pushed.digest,
        caseCount: 10,
      });
      expect(await clientOf(service).call('GET', '/v1/audit/verify')).toMatchObject({ ok: true });
    });
  });

  test('warns when the role of the service owns the tables', async () => {
    const both = { service: postgres.urls.owner, owner: '' };
    await withService(both, async (service, said) => {
      expect(await clientOf(service).call('GET', '/health')).toMatchObject({ status: 'ok' });
      expect(said.join('\n')).toContain('DATABASE_OWNER_URL');
    });
  });
});
