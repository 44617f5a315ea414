// A target that several workspaces share, on real Postgres with row-level security: its limits
// count all of them, and what one of them is told and shown of the others is the sum.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../support/builders.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../../support/postgres.ts';

const resources = { gpus: { count: 2 }, timeoutSeconds: 7_200, retries: 0 };

describe.skipIf(noPostgres())('a target that another workspace uses too', () => {
  let postgres: TestPostgres;
  let api: JobTest;
  beforeAll(async () => {
    postgres = await startPostgres();
    const limits = { gpuHoursPerDay: 8, jobsAtOnce: 3 };
    api = await openJobTest({ gpuTypes: ['a100'], limits }, postgres.database);
  });
  afterAll(() => postgres?.stop());

  /** Turns a job into one of another workspace, as its owner would have launched it. */
  async function givenAway(id: string) {
    const owner = postgres.owner.orm;
    await owner.execute(
      sql`insert into workspaces values ('other', 'other', now()) on conflict do nothing`,
    );
    await owner.execute(
      sql`update jobs set workspace_id = 'other', created_by = 'zoe' where id = ${id}`,
    );
  }
  const post = () => {
    const { snapshot } = api;
    const body = { snapshot, target: 'local', seed: 1, settings: {}, reason: 'x', resources };
    return api.call('POST', '/v1/jobs', body);
  };
  const target = async () => (await must(api, 200, 'GET', '/v1/targets')).items[0];

  test('starts no more than its limits allow to all of them', async () => {
    const [first, second] = [await api.launch({ resources }), await api.launch({ resources })];
    for (const { id } of [first, second]) await givenAway(id);
    await api.tick();
    const third = (await post()).body;
    expect(third).toMatchObject({ state: 'created' });
    expect(third.attempts[0].observation.detail).toContain('may use up to 8 more');
    expect((await target()).gpuHours).toEqual({ used: 0, counted: 8, limit: 8 });
    const withoutGpus = await api.launch({});
    expect(withoutGpus.state).toBe('queued');
    expect((await api.launch({})).state).toBe('created');
    await must(api, 200, 'POST', `/v1/jobs/${third.id}/cancel`);
  });

  test('refuses by the sum of all, and tells of the others nothing else', async () => {
    await api.tick();
    api.moveClock(2 * 3_600_000);
    const refused = await post();
    expect([refused.status, refused.body.detail]).toEqual([
      429,
      expect.stringContaining('has used 8 GPU hours in the last 24 hours, of all workspaces'),
    ]);
    expect(JSON.stringify(refused.body)).not.toMatch(/zoe|other|jobs?\/|phantom/);
    for (const by of ['job', 'dataset', 'actor', 'target']) {
      const { items, total } = await must(api, 200, 'GET', `/v1/usage?by=${by}`);
      expect([total.gpuHours, JSON.stringify(items).includes('zoe')]).toEqual([0, false]);
      expect(total.jobs).toBe(1); // the one without GPUs
    }
  });
});
