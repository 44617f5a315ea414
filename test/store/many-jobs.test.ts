// What a tick reads on real Postgres behind row-level security, once it has statistics: the live
// attempts by their indexes, and nothing of the jobs that have ended.

import { sql } from 'drizzle-orm';
import { describe, expect, test, vi } from 'vitest';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import { rows } from '../../api/store/database.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { copyJob, quietJob } from '../support/copied-jobs.ts';
import { openJobTest } from '../support/jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

/** Rows of a table that were read so far; a connection tells when it ends. */
async function readSoFar({ owner }: TestPostgres): Promise<Record<string, number>> {
  const found = await rows<{ name: string; read: string }>(
    owner.orm,
    sql`select relname as name, seq_tup_read + coalesce(idx_tup_fetch, 0) as read
      from pg_stat_user_tables where relname in ('jobs', 'job_attempts')`,
  );
  return Object.fromEntries(found.map(({ name, read }) => [name, Number(read)]));
}

describe.skipIf(noPostgres())('a tick on real Postgres', () => {
  test('reads none of the jobs that have ended', async () => {
    const postgres = await startPostgres();
    try {
      const live = 400;
      const making = openPostgres({ url: postgres.urls.service });
      const api = await openJobTest({}, making);
      const id = await quietJob(api);
      await copyJob(api, id, { from: 1, count: live - 1, ended: false });
      await copyJob(api, id, { from: 1_000, count: 4_000, ended: true });
      await postgres.owner.script('analyze');
      await making.close();
      const others = sql`select count(*)::int as count from pg_stat_activity where usename = 'counterweight'`;
      const allGone = () =>
        vi.waitFor(async () => {
          const [{ count }] = await rows<{ count: number }>(postgres.owner.orm, others);
          expect(count).toBe(0);
        }, 10_000);
      await allGone();
      const before = await readSoFar(postgres);
      const own = openPostgres({ url: postgres.urls.service, connections: 1 });
      await reconcileJobs({ ...api.deps, database: own });
      await own.close();
      await allGone();
      const after = await readSoFar(postgres);
      for (const name of ['jobs', 'job_attempts']) {
        expect(after[name] - before[name]).toBeGreaterThanOrEqual(live);
        expect(after[name] - before[name]).toBeLessThan(4 * live);
      }
    } finally {
      await postgres.stop();
    }
  });
});
