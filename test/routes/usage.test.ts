// GPU hours over HTTP: what counts, since when, for whom, and what is refused.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Usage } from '../../api/contract/usage.ts';
import { must } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';

const minutes = 60_000;
const hours = 60 * minutes;
const gpus = (count: number) => ({ gpus: { count }, timeoutSeconds: 900_000, retries: 0 });

let api: JobTest;
let ids: Record<'done' | 'failed' | 'cpu' | 'waiting', string>;
const start = Date.parse('2026-03-01T09:00:00Z'); // of the test app's clock
const usage = async (query: string): Promise<Usage> => must(api, 200, 'GET', `/v1/usage?${query}`);

// 09:00 to 11:00 two GPUs, then failed; 10:00 to 14:00 one GPU of bo's, cancelled; from 11:00 on
// none, without end; one that its engine only queues.
beforeAll(async () => {
  api = await openJobTest({ gpuTypes: ['a100'] });
  const bo = await api.as('bo', 'launcher');
  const launchedByBo = async () => {
    const body = { snapshot: api.snapshot, target: 'local', seed: 1, reason: 'x', settings: {} };
    return (await must({ ...bo }, 201, 'POST', '/v1/jobs', { ...body, resources: gpus(1) })).id;
  };
  const failed = (await api.launch({ resources: gpus(2) })).id;
  await api.tick();
  api.moveClock(1 * hours);
  const done = await launchedByBo();
  await api.tick();
  api.moveClock(1 * hours);
  api.launcher.observe(api.keyOf(failed), { state: 'exited', exit: { code: 1, signal: null } });
  const cpu = (await api.launch()).id;
  await api.tick();
  const waiting = (await api.launch({ resources: gpus(8) })).id;
  api.launcher.observe(api.keyOf(waiting), { state: 'queued' });
  api.moveClock(3 * hours);
  await api.call('POST', `/v1/jobs/${done}/cancel`);
  api.launcher.observe(api.keyOf(done), { state: 'exited', exit: { code: 143, signal: null } });
  await api.tick();
  api.moveClock(1 * hours);
  ids = { done, failed, cpu, waiting };
});

describe('GPU hours', () => {
  test('by job are GPUs times hours of its attempts, ended well or not, and no waiting', async () => {
    const name = 'phantom fold 0';
    expect(await usage('by=job')).toEqual({
      by: 'job',
      from: new Date(start + 6 * hours - 30 * 24 * hours).toISOString(),
      to: new Date(start + 6 * hours).toISOString(),
      items: [
        { key: expect.anything(), name, gpuHours: 4, hours: 4, attempts: 1, jobs: 1, running: 0 },
        { key: expect.anything(), name, gpuHours: 4, hours: 2, attempts: 1, jobs: 1, running: 0 },
        { key: ids.cpu, name, gpuHours: 0, hours: 4, attempts: 1, jobs: 1, running: 1 },
      ],
      total: { gpuHours: 8, hours: 10, attempts: 3, jobs: 3, running: 1 },
      nextCursor: null,
    });
    const { items } = await usage('by=job');
    expect(items.map(({ key }) => key)).toEqual([ids.done, ids.failed, ids.cpu]);
  });

  test('by actor, target and dataset are the same hours, summed otherwise', async () => {
    const sums = ({ items }: Usage) => items.map((one) => [one.name, one.gpuHours, one.jobs]);
    expect(sums(await usage('by=actor'))).toEqual([
      ['admin', 4, 2],
      ['bo', 4, 1],
    ]);
    expect(sums(await usage('by=target'))).toEqual([['local', 8, 3]]);
    const byDataset = await usage('by=dataset');
    expect(sums(byDataset)).toEqual([['phantom', 8, 3]]);
    const { id } = await must(api, 200, 'GET', '/v1/datasets/phantom');
    expect(byDataset.items[0].key).toBe(id);
  });

  test('of a span of time are the hours that lie in it', async () => {
    const span = 'from=2026-03-01T10:30:00Z&to=2026-03-01T12:30:00%2B01:00';
    expect((await usage(`by=job&${span}`)).total).toEqual({
      gpuHours: 0.5 * 2 + 1 * 1,
      hours: 0.5 + 1 + 0.5,
      attempts: 3,
      jobs: 3,
      running: 1,
    });
    const dayAfter = await usage('by=job&from=2026-03-02&to=2026-03-03');
    expect([dayAfter.items, dayAfter.total.gpuHours]).toEqual([[], 0]);
  });

  test('come in pages that still fit together when time has passed', async () => {
    const whole = await usage('by=job');
    const paged = [];
    let cursor = '';
    do {
      const page = await usage(`by=job&limit=1${cursor}`);
      expect([page.total, page.from, page.to]).toEqual([whole.total, whole.from, whole.to]);
      paged.push(...page.items);
      cursor = `&cursor=${page.nextCursor}`;
      api.moveClock(10 * minutes);
    } while (!cursor.endsWith('null'));
    expect(paged).toEqual(whole.items);
    api.moveClock(-30 * minutes);
  });

  test('are for every reader, and for nobody of another workspace', async () => {
    const reader = await api.as('eve', 'reader');
    expect((await reader.call('GET', '/v1/usage?by=job')).status).toBe(200);
    const { orm } = api.database;
    await orm.execute(sql`insert into workspaces values ('other', 'other', now())`);
    const { tokenId, ...stranger } = await api.as('stranger', 'admin');
    await orm.execute(sql`update tokens set workspace_id = 'other' where id = ${tokenId}`);
    for (const by of ['job', 'dataset', 'actor', 'target']) {
      const { body } = await stranger.call('GET', `/v1/usage?by=${by}`);
      expect([body.items, body.total.hours]).toEqual([[], 0]);
    }
  });

  test.each([
    ['', 'by=job, by=dataset, by=actor, by=target'],
    ['by=person', 'by=job, by=dataset, by=actor, by=target'],
    ['by=job&from=yesterday', '2026-03-01T09:00:00Z'],
    ['by=job&from=2026-02-30', '2026-03-01T09:00:00Z'],
    ['by=job&from=2026-03-02&to=2026-03-02', 'is not before to'],
    ['by=job&from=2030-01-01', 'now)'],
    ['by=job&to=0000-01-01', 'in 1970 or later'],
    ['by=job&limit=0', 'limit'],
    ['by=job&cursor=MTIz', 'The cursor was not made here'],
    [`by=job&cursor=${btoa('2026-03-01T09:00:00.000Z 9999999999')}`, 'The cursor was not made'],
    [`by=job&cursor=${btoa('0000-01-01T09:00:00.000Z 1')}`, 'The cursor was not made here'],
    [`by=job&cursor=${btoa('2026-99-01T09:00:00.000Z 1')}`, 'The cursor was not made here'],
  ])('asked with %j are refused in words', async (query, words) => {
    const refused = await api.call('GET', `/v1/usage?${query}`);
    expect([refused.status, refused.body.detail]).toEqual([400, expect.stringContaining(words)]);
  });
});
