// Tokens over several processes of one deployment, on real Postgres: none remembers what another
// has changed, and nobody waits to note that a token was used.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { moveTokenToUsed } from '../../api/store/tokens.ts';
import { openTestApp, sendingOf, type TestApp } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

describe.skipIf(noPostgres())('a token', () => {
  let postgres: TestPostgres;
  let processes: TestApp[];
  beforeAll(async () => {
    postgres = await startPostgres();
    const databases = [postgres.database, openPostgres({ url: postgres.urls.service })];
    processes = [];
    for (const [process, database] of databases.entries()) {
      processes.push(await openTestApp({ database, process }));
    }
  });
  afterAll(async () => {
    await processes?.[1].database.close();
    await postgres?.stop();
  });

  const everywhere = (token: string) =>
    Promise.all(
      processes.map(
        async ({ app }) => (await sendingOf(app, token).call('GET', '/v1/jobs')).status,
      ),
    );

  test('that one process revokes is refused by all of them at once', async () => {
    const [here, there] = processes;
    for (const by of [here, there]) {
      const eve = await here.as('eve', 'reader');
      expect(await everywhere(eve.token)).toEqual([200, 200]);
      await must(by, 200, 'DELETE', `/v1/tokens/${eve.tokenId}`);
      expect(await everywhere(eve.token)).toEqual([401, 401]);
    }
  });

  test('made in one process, and its workspace, hold in all of them at once', async () => {
    const made = await processes[0].inWorkspace('made-here', 'ada');
    expect(await everywhere(made.token)).toEqual([200, 200]);
    expect(await everywhere((await made.as('bo', 'launcher')).token)).toEqual([200, 200]);
  });

  test('is asked with while its row is locked, and nobody waits', async () => {
    const uma = await processes[0].as('uma', 'reader');
    await postgres.owner.orm.transaction(async (tx) => {
      await tx.execute(sql`select 1 from tokens where id = ${uma.tokenId} for update`);
      expect(await everywhere(uma.token)).toEqual([200, 200]);
    });
    expect(await lastUse(uma.tokenId)).toBeNull();
    expect(await everywhere(uma.token)).toEqual([200, 200]);
    expect(await lastUse(uma.tokenId)).not.toBeNull();
  });

  test('used by many requests at once is noted once', async () => {
    const uma = await processes[0].as('uma', 'reader');
    const { orm } = postgres.database;
    const notSince = processes[0].deps.now();
    const at = (k: number) => new Date(notSince.getTime() + 1 + k);
    const uses = Array.from({ length: 20 }, (_, k) =>
      moveTokenToUsed(orm, { id: uma.tokenId, at: at(k), notSince }),
    );
    await Promise.all(uses);
    const first = await lastUse(uma.tokenId);
    await moveTokenToUsed(orm, { id: uma.tokenId, at: at(100), notSince });
    expect(await lastUse(uma.tokenId)).toEqual(first);
    expect(first).not.toBeNull();
  });

  async function lastUse(id: string): Promise<unknown> {
    const query = sql`select last_used_at from tokens where id = ${id}`;
    return (await rows<{ last_used_at: unknown }>(postgres.owner.orm, query))[0].last_used_at;
  }
});
