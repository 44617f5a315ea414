// How jobs are stopped: by a person, by time, by silence; and how they are tried again.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { reconcileJobs } from '../../../api/services/jobs/reconcile.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});
beforeEach(() => {
  Object.assign(api.launcher, { trouble: {}, during: {}, loseAnswer: false });
});

const minutes = (count: number) => count * 60_000;
const exited = (code: number) => ({ state: 'exited' as const, exit: { code, signal: null } });

async function running(body: Record<string, unknown> = {}) {
  const { id } = await api.launch(body);
  const trainer = api.trainer(id);
  await trainer.report({ sequence: 0 });
  return { id, trainer, key: api.keyOf(id) };
}
const cancel = (id: string) => api.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'enough' });

describe('cancelling', () => {
  test('a running job asks the trainer to stop and the engine to stop it', async () => {
    const { id, trainer, key } = await running();
    expect((await cancel(id)).body.state).toBe('cancelling');
    expect((await trainer.report({ sequence: 1 })).body).toEqual({ accepted: true, stop: true });
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30]);
    api.launcher.observe(key, exited(143));
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
    expect(await api.audit(id)).toEqual(['job.launched', 'job.cancelled', 'job.ended']);
  });

  test.each([
    ['exits well', exited(0)],
    ['fails', exited(1)],
    ['is unknown to the engine', { state: 'notFound' as const }],
  ])('holds where the trainer %s afterwards', async (_, observation) => {
    const { id, key } = await running();
    await cancel(id);
    api.launcher.observe(key, observation);
    await api.tick();
    expect(await api.read(id)).toMatchObject({ state: 'cancelled', reason: null });
  });

  test('holds where it comes in while the engine is being asked', async () => {
    const { id, key } = await running();
    api.launcher.observe(key, exited(143));
    api.launcher.during.poll = async () => {
      api.launcher.during = {};
      await cancel(id);
    };
    await api.tick();
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
  });

  test('a job that was never submitted starts nothing', async () => {
    api.launcher.trouble.find = new Error('connection refused');
    const { id } = await api.launch();
    api.launcher.trouble = {};
    await cancel(id);
    api.moveClock(31_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
    expect(api.launcher.launches.has(api.keyOf(id))).toBe(false);
  });

  test('in the midst of a submit ends what the submit brings', async () => {
    let id = '';
    api.launcher.during.submit = async () => {
      api.launcher.during = {};
      id = (await api.call('GET', '/v1/jobs?limit=1')).body.items[0].id;
      await cancel(id);
    };
    await api.launch();
    await api.tick();
    expect(api.launcher.launches.get(api.keyOf(id))?.cancelled).toEqual([30]);
    api.launcher.observe(api.keyOf(id), exited(143));
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
  });

  test('twice is no fault; after the end it is', async () => {
    const { id, key } = await running();
    await cancel(id);
    expect((await cancel(id)).status).toBe(200);
    expect((await api.audit(id)).filter((action) => action === 'job.cancelled')).toHaveLength(1);
    api.launcher.observe(key, exited(143));
    await api.tick();
    expect((await cancel(id)).body.state).toBe('cancelled');
    const other = await running();
    api.launcher.observe(other.key, exited(1));
    await api.tick();
    expect((await cancel(other.id)).status).toBe(409);
  });

  test('while the engine is away is made up for by a tick', async () => {
    const { id, key } = await running();
    api.launcher.trouble.cancel = new Error('connection refused');
    expect((await cancel(id)).status).toBe(200);
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([]);
    api.launcher.trouble = {};
    await api.tick();
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30]);
  });
});

describe('time', () => {
  test('ends a job that runs too long, and its trainer', async () => {
    const { id, trainer, key } = await running({ resources: { timeoutSeconds: 60 } });
    api.moveClock(59_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('running');
    api.moveClock(2_000);
    await api.tick();
    const { state, reason } = await api.read(id);
    expect(state).toBe('timedOut');
    expect(reason?.detail).toContain('60 s (timeoutSeconds)');
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30]);
    expect((await trainer.report({ sequence: 1 })).status).toBe(409);
  });

  test('ends a job whose engine cannot be told: its token is revoked', async () => {
    const { id, trainer } = await running({ resources: { timeoutSeconds: 60 } });
    api.launcher.trouble = { poll: new Error('away'), cancel: new Error('away') };
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('timedOut');
    expect((await trainer.report({ sequence: 1 })).status).toBe(409);
  });

  test('ends a job that does not start', async () => {
    const { id } = await api.launch({ resources: { queueTimeoutSeconds: 60 } });
    api.launcher.observe(api.keyOf(id), { state: 'queued' });
    await api.tick();
    expect((await api.read(id)).state).toBe('queued');
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).reason?.detail).toContain('queueTimeoutSeconds');
  });

  test('ends a job that could never be submitted, and submits nothing then', async () => {
    api.launcher.trouble.find = new Error('connection refused');
    const { id } = await api.launch({ resources: { queueTimeoutSeconds: 60 } });
    api.launcher.trouble = {};
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('timedOut');
    expect(api.launcher.launches.has(api.keyOf(id))).toBe(false);
  });

  test('does not run against a trainer that has finished', async () => {
    const { id, trainer, key } = await running({ resources: { timeoutSeconds: 60 } });
    api.moveClock(59_000);
    await trainer.finish({ outcome: 'succeeded' });
    api.moveClock(5_000);
    await api.tick();
    api.launcher.observe(key, exited(0));
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
  });
});

describe('a launch that the engine does not know', () => {
  test('is lost after three polls and five silent minutes, not before', async () => {
    const { id, key } = await running({ resources: { retries: 0 } });
    api.launcher.observe(key, { state: 'notFound' });
    await api.tick();
    api.moveClock(minutes(6));
    await api.tick();
    expect((await api.read(id)).state).toBe('running'); // five minutes, but two polls
    await api.tick();
    const job = await api.read(id);
    expect([job.state, job.reason?.code, job.attempts[0].state]).toEqual([
      'failed',
      'infrastructure',
      'lost',
    ]);
  });

  test('is not lost while its trainer reports', async () => {
    const { id, trainer, key } = await running();
    api.launcher.observe(key, { state: 'notFound' });
    for (let sequence = 1; sequence < 6; sequence++) {
      await api.tick();
      api.moveClock(minutes(2));
      await trainer.report({ sequence });
    }
    await api.tick();
    expect((await api.read(id)).state).toBe('running');
  });

  test('and is seen again starts counting anew', async () => {
    const { id, key } = await running();
    api.launcher.observe(key, { state: 'notFound' });
    await api.tick();
    await api.tick();
    api.launcher.observe(key, { state: 'running' });
    await api.tick();
    api.launcher.observe(key, { state: 'notFound' });
    api.moveClock(minutes(6));
    await api.tick();
    await api.tick();
    expect((await api.read(id)).state).toBe('running');
  });

  test('is lost too where its target is configured no longer', async () => {
    const { id } = await running();
    const deps = { ...api.deps, targets: [] };
    for (let k = 0; k < 4; k++) {
      await reconcileJobs(deps);
      api.moveClock(minutes(3));
    }
    expect((await api.read(id)).reason?.detail).toContain('"local" is no longer configured');
  });
});

describe('retrying', () => {
  const retry = (id: string) => api.call('POST', `/v1/jobs/${id}/retry`, { reason: 'again' });

  test('starts a new attempt; the old one can write nothing any more', async () => {
    const { id, trainer, key } = await running();
    api.launcher.observe(key, exited(1));
    await api.tick();
    const answer = await retry(id);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ state: 'queued', reason: null, endedAt: null });
    expect(answer.body.attempts.map((one: any) => one.launchKey)).toEqual([key, api.keyOf(id, 2)]);
    const report = { sequence: 5, metrics: [{ name: 'loss', value: 1, step: 1 }] };
    expect((await trainer.report(report)).status).toBe(409);
    expect((await trainer.finish({ outcome: 'succeeded' })).status).toBe(409);
    expect((await trainer.get('job')).status).toBe(409);
    expect((await api.trainer(id, 2).get('job')).body).toMatchObject({
      attempt: 2,
      nextSequence: 0,
    });
    const { body } = await api.call('GET', `/v1/jobs/${id}/metrics`);
    expect(body.items).toEqual([]);
    expect(await api.audit(id)).toContain('job.retried');
  });

  test('waits for the attempt before to stop: both would write the same checkpoints', async () => {
    const { id, key } = await running({ resources: { timeoutSeconds: 60 } });
    api.moveClock(61_000);
    await api.tick();
    const early = await retry(id);
    expect(early.status).toBe(409);
    expect(early.body.detail).toContain('still stopping');
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30, 0]);
    api.launcher.observe(key, exited(143));
    expect((await retry(id)).status).toBe(200);
  });

  test('is refused for a job that lives, or has succeeded', async () => {
    const { id, trainer, key } = await running();
    expect((await retry(id)).status).toBe(409);
    await trainer.finish({ outcome: 'succeeded' });
    api.launcher.observe(key, exited(0));
    await api.tick();
    expect((await retry(id)).status).toBe(409);
    expect((await api.read(id)).attempts).toHaveLength(1);
  });
});

test('a target takes no more jobs at once than it says, and the rest in their order', async () => {
  const full = await openJobTest({ limits: { jobsAtOnce: 1 } });
  const ids = [(await full.launch()).id, (await full.launch()).id, (await full.launch()).id];
  const states = async () => await Promise.all(ids.map(async (id) => (await full.read(id)).state));
  await full.tick();
  expect(await states()).toEqual(['starting', 'created', 'created']);
  expect((await full.call('POST', `/v1/jobs/${ids[1]}/cancel`)).body.state).toBe('cancelled');
  full.launcher.observe(full.keyOf(ids[0]), exited(1));
  await full.tick();
  await full.tick();
  expect(await states()).toEqual(['failed', 'cancelled', 'starting']);
});

test('a target takes no more jobs at once than it says, however many are launched at once', async () => {
  const full = await openJobTest({ limits: { jobsAtOnce: 2 } });
  const jobs = await Promise.all(Array.from({ length: 6 }, () => full.launch()));
  expect(full.launcher.launches.size).toBe(2);
  await full.tick();
  const states = await Promise.all(jobs.map(async ({ id }) => (await full.read(id)).state));
  expect(states.filter((state) => state === 'created')).toHaveLength(4);
});
