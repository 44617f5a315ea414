// Withdrawals, launches and cancellations at once on a real Postgres, where they truly are at once:
// a job either hears of a withdrawal or is refused because of it, and nobody waits in a circle.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/builders.ts';
import { type JobTest, jobSettings, openJobTest } from '../support/jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

describe.skipIf(noPostgres())('withdrawals and launches at the same time', () => {
  let postgres: TestPostgres;
  let api: JobTest;
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openJobTest({}, postgres.database);
  });
  afterAll(() => postgres?.stop());

  const launch = () =>
    api.call('POST', '/v1/jobs', {
      snapshot: api.snapshot,
      target: 'local',
      seed: 7,
      settings: jobSettings,
      reason: 'test',
    });

  async function toldOf(id: string): Promise<string[]> {
    const { items } = await must(api, 200, 'GET', `/v1/jobs/${id}/events?limit=500`);
    expect(items.map((event: any) => event.sequence)).toEqual(
      items.map((_: any, k: number) => k + 1),
    );
    return items
      .filter((event: any) => event.kind === 'caseWithdrawn')
      .map((event: any) => event.detail.caseId);
  }

  test('every job that was launched was told of every case of its snapshot', async () => {
    const before = await Promise.all([1, 2, 3, 4].map(launch));
    const withdrawn = ['case_0001', 'case_0002', 'case_0004'];
    const [launched, cancelled, answers] = await Promise.all([
      Promise.all(Array.from({ length: 8 }, launch)),
      Promise.all(before.map(({ body }) => api.call('POST', `/v1/jobs/${body.id}/cancel`))),
      Promise.all(
        withdrawn.map((caseId) =>
          api.call('POST', '/v1/datasets/phantom/withdrawals', { caseId, reason: 'consent' }),
        ),
      ),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(cancelled.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const made = launched.filter(({ status }) => status === 201);
    expect(launched.every(({ status }) => status === 201 || status === 409)).toBe(true);
    for (const { body } of [...before, ...made]) {
      expect((await toldOf(body.id)).sort()).toEqual(withdrawn);
    }
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });
});
