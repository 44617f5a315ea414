// The limit on a target's GPU hours: what is refused with which numbers, what waits and why, and
// that no number of launches at once gets past it.

import { describe, expect, test } from 'vitest';
import type { Job } from '../../../api/contract/jobs.ts';
import type { LaunchTarget } from '../../../api/contract/targets.ts';
import type { Observation } from '../../../api/launchers/launcher.ts';
import { must } from '../../support/builders.ts';
import { type JobTest, jobSettings, openJobTest } from '../../support/jobs.ts';

const hours = 3_600_000;
const exited: Observation = { state: 'exited', exit: { code: 1, signal: null } };

/** A target with a limit; jobs ask for one GPU and, unless they say otherwise, four hours. */
async function openLimited(gpuHoursPerDay: number, target: Partial<LaunchTarget> = {}) {
  const api = await openJobTest({ gpuTypes: ['a100'], limits: { gpuHoursPerDay }, ...target });
  const asking = (resources: Record<string, unknown> = {}) => ({
    resources: { gpus: { count: 1 }, timeoutSeconds: 14_400, retries: 0, ...resources },
  });
  const bodyOf = (more: object) => ({
    snapshot: api.snapshot,
    target: 'local',
    seed: 1,
    settings: jobSettings,
    reason: 'test',
    ...asking(),
    ...more,
  });
  return {
    ...api,
    asking,
    post: (more: object = {}) => api.send('POST', '/v1/jobs', bodyOf(more)),
    launchOne: (resources?: Record<string, unknown>) => api.launch(asking(resources)),
    jobCount: async () => (await must(api, 200, 'GET', '/v1/jobs')).items.length as number,
    launched: (id: string, attempt = 1) => api.launcher.launches.has(api.keyOf(id, attempt)),
    target: async () => (await must(api, 200, 'GET', '/v1/targets')).items[0],
    end: async (id: string, attempt = 1) => {
      api.launcher.observe(api.keyOf(id, attempt), exited);
      await api.tick();
    },
  };
}
type Limited = Awaited<ReturnType<typeof openLimited>>;

/** A job that runs for so long and ends. */
async function ran(api: Limited, hoursLong: number) {
  const { id } = await api.launchOne({ timeoutSeconds: Math.ceil(hoursLong * 3600) });
  await api.tick();
  api.moveClock(hoursLong * hours);
  await api.end(id);
  return id;
}
const said = async (api: JobTest, id: string) =>
  (await must(api, 200, 'GET', `/v1/jobs/${id}/events?limit=500`)).items
    .filter(({ kind }: { kind: string }) => kind === 'engine')
    .map(({ detail }: { detail: object }) => detail);

describe('a target whose GPU hours are used up', () => {
  test('refuses a launch with the numbers, stores nothing, and takes it when there is room', async () => {
    const api = await openLimited(24);
    await ran(api, 20);
    await ran(api, 4);
    const refused = await api.post();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(((await refused.json()) as { detail: string }).detail).toBe(
      'Target "local" has used 24 GPU hours in the last 24 hours, of all workspaces together, and its limit is 24 (gpuHoursPerDay); this asks for up to 4. There is room at 2026-03-02T09:00:01.000Z at the earliest, later where jobs go on running. Nothing was started.',
    );
    expect(await api.jobCount()).toBe(2);
    api.moveClock(1_000);
    expect((await api.post()).status).toBe(201);
  });

  test('says how long until there is room where that is hours away', async () => {
    const api = await openLimited(6);
    await ran(api, 3);
    await ran(api, 3.5);
    const refused = await api.post();
    // Half an hour too much: there is room when the first half hour is a day old.
    const seconds = Number(refused.headers.get('retry-after'));
    expect([refused.status, seconds]).toEqual([429, (24 - 6.5 + 0.5) * 3600 + 1]);
    api.moveClock((seconds - 1) * 1000);
    expect((await api.post()).status).toBe(429);
    api.moveClock(1_000);
    expect((await api.post()).status).toBe(201);
  });

  test('refuses a dry run and a retry too, and each fold of an alias or none', async () => {
    const api = await openLimited(5);
    const digest = api.snapshot;
    const move = { snapshots: { 0: digest }, reason: 'test' };
    await must(api, 201, 'PUT', '/v1/datasets/phantom/aliases/best', move);
    const id = await ran(api, 5);
    const batch = { snapshot: undefined, dataset: 'phantom', alias: 'best' };
    for (const more of [{ dryRun: true }, batch, { ...batch, dryRun: true }]) {
      expect((await api.post(more)).status).toBe(429);
    }
    const retried = await api.send('POST', `/v1/jobs/${id}/retry`, { reason: 'again' });
    expect([retried.status, retried.headers.get('retry-after')]).toEqual([429, '68401']);
    expect([await api.jobCount(), (await api.read(id)).attempts.length]).toEqual([1, 1]);
    api.moveClock(20 * hours);
    expect((await api.call('POST', `/v1/jobs/${id}/retry`, {})).status).toBe(200);
  });

  test('lets a key of idempotency be used again once there is room', async () => {
    const api = await openLimited(1);
    await ran(api, 1);
    const send = () =>
      api.send(
        'POST',
        '/v1/jobs',
        {
          snapshot: api.snapshot,
          target: 'local',
          seed: 1,
          reason: 'x',
          ...api.asking({ timeoutSeconds: 60 }),
        },
        { 'idempotency-key': 'once' },
      );
    expect((await send()).status).toBe(429);
    api.moveClock(24 * hours);
    expect((await send()).status).toBe(201);
  });

  test('still takes jobs without GPUs', async () => {
    const api = await openLimited(2);
    await ran(api, 2);
    const { id } = await api.launch({ resources: { gpus: { count: 0 } } });
    expect(api.launched(id)).toBe(true);
  });

  test('is no other target: their hours are their own', async () => {
    const api = await openLimited(1);
    await ran(api, 1);
    api.deps.targets.push({ ...api.deps.targets[0], name: 'other' });
    expect(
      (await api.post({ target: 'other', ...api.asking({ timeoutSeconds: 60 }) })).status,
    ).toBe(201);
  });
});

describe('a job that alone may use more than the limit', () => {
  test('is refused, with what would fit, and waiting is not suggested', async () => {
    const api = await openLimited(24);
    const refused = await api.post(
      api.asking({ gpus: { count: 64 }, timeoutSeconds: 90 * 86_400 }),
    );
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, null]);
    expect(await refused.json()).toMatchObject({
      detail:
        'Target "local" has a limit of 24 GPU hours in 24 hours (gpuHoursPerDay); this asks for up to 1536 for one job (gpus.count 64, timeoutSeconds 7776000). Ask for fewer GPUs, or for timeoutSeconds 1350 or less: a retry goes on from the checkpoint.',
      errors: [{ pointer: '/resources/timeoutSeconds', detail: '1350 fits the limit' }],
    });
    expect((await api.post(api.asking({ timeoutSeconds: 90 * 86_400 }))).status).toBe(201);
  });

  test('gets a usual time that fits, where neither it nor the target says one', async () => {
    const api = await openLimited(24, { defaults: { gpus: { count: 4 } } });
    const secondsOf = async (resources: Record<string, unknown>) =>
      (await api.launch({ resources })).resources.timeoutSeconds;
    expect(await secondsOf({})).toBe(21_600);
    expect(await secondsOf({ timeoutSeconds: 7_200 })).toBe(7_200);
    expect(await secondsOf({ gpus: { count: 1 } })).toBe(86_400);
    expect(await secondsOf({ gpus: { count: 0 } })).toBe(86_400);
    Object.assign(api.deps.targets[0].defaults, { timeoutSeconds: 3_600 });
    expect(await secondsOf({})).toBe(3_600);
  });
});

describe('jobs that together may use more than the limit', () => {
  test('start as far as it reaches, however many come at once; the others wait and say why', async () => {
    const api = await openLimited(10);
    const posts = await Promise.all(Array.from({ length: 20 }, () => api.post()));
    expect(posts.map(({ status }) => status)).toEqual(Array(20).fill(201));
    await api.tick();
    await api.tick();
    // Four hours each: the third starts at eight of ten, and no fourth at twelve.
    expect(api.launcher.launches.size).toBe(3);
    const { items }: { items: Job[] } = await must(api, 200, 'GET', '/v1/jobs');
    const waiting = items.filter(({ state }) => state === 'created');
    expect(waiting).toHaveLength(17);
    const detail =
      'waits for GPU hours of its target: 0 of 10 are used in the last 24 hours (gpuHoursPerDay, all workspaces), and launched jobs may use up to 12 more (timeoutSeconds)';
    for (const { id, attempts } of waiting) {
      expect(attempts[0].observation).toMatchObject({ state: 'waiting', detail });
      expect(await said(api, id)).toEqual([{ attempt: 1, state: 'waiting', detail }]);
    }
    expect(await api.target()).toMatchObject({ gpuHours: { used: 0, counted: 12, limit: 10 } });
  });

  test('start when one of them has ended early, and no sooner', async () => {
    const api = await openLimited(8);
    const [first, second, third, fourth] = [
      await api.launchOne(),
      await api.launchOne(),
      await api.launchOne(),
      await api.launchOne(),
    ].map(({ id }) => id);
    await api.tick();
    api.moveClock(1 * hours);
    await api.tick();
    expect([second, third].map((id) => api.launched(id))).toEqual([true, false]);
    await api.end(first);
    await api.tick();
    // One hour used, four that the second may use: five of eight.
    expect([third, fourth].map((id) => api.launched(id))).toEqual([true, false]);
    expect((await api.target()).gpuHours.counted).toBeCloseTo(9, 9);
    await api.tick();
    expect(await said(api, fourth)).toHaveLength(2);
  });

  test('count from their launch, also where the engine only queues them', async () => {
    const api = await openLimited(4);
    const { id } = await api.launchOne();
    api.launcher.observe(api.keyOf(id), { state: 'queued' });
    await api.tick();
    api.moveClock(10 * hours);
    const next = await api.launchOne();
    await api.tick();
    expect([api.launched(next.id), (await api.target()).gpuHours.used]).toEqual([false, 0]);
    await api.call('POST', `/v1/jobs/${id}/cancel`);
    api.launcher.observe(api.keyOf(id), { state: 'cancelled' });
    await api.tick();
    await api.tick();
    expect(api.launched(next.id)).toBe(true);
  });

  test('that wait are cancelled at once, and time out in the queue as others do', async () => {
    const api = await openLimited(4);
    await api.launchOne();
    const { id } = await api.launchOne();
    expect((await api.call('POST', `/v1/jobs/${id}/cancel`)).body.state).toBe('cancelled');
    const late = await api.launchOne({ queueTimeoutSeconds: 60 });
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(late.id)).state).toBe('timedOut');
    expect(api.launcher.launches.size).toBe(1);
  });

  test('include the attempts that the service starts by itself', async () => {
    const api = await openLimited(4);
    const { id } = await api.launchOne({ retries: 2 });
    await api.tick();
    api.moveClock(4 * hours - 1);
    api.launcher.observe(api.keyOf(id), { state: 'failed', reason: 'infrastructure' });
    await api.tick();
    await ran(api, 1);
    api.moveClock(60_000);
    await api.tick();
    expect([api.launched(id, 2), (await api.read(id)).state]).toEqual([false, 'created']);
    expect((await said(api, id)).at(-1)).toMatchObject({ attempt: 2, state: 'waiting' });
    api.moveClock(21 * hours);
    await api.tick();
    expect(api.launched(id, 2)).toBe(true);
  });
});

describe('a target', () => {
  test('shows its hours beside the limit, and none where it has no limit', async () => {
    const api = await openLimited(10);
    await ran(api, 2.5);
    expect((await api.target()).gpuHours).toEqual({ used: 2.5, counted: 2.5, limit: 10 });
    const without = await openJobTest();
    expect((await must(without, 200, 'GET', '/v1/targets')).items[0]).not.toHaveProperty(
      'gpuHours',
    );
  });

  test('is warned about by its check from nine tenths on', async () => {
    const api = await openLimited(10);
    const findings = async () => (await must(api, 200, 'GET', '/v1/targets/local/check')).findings;
    await ran(api, 8.9);
    expect(await findings()).toEqual([]);
    await ran(api, 0.1);
    expect(await findings()).toEqual([
      {
        severity: 'warning',
        detail:
          '9 of 10 GPU hours are used in the last 24 hours (gpuHoursPerDay); at the limit, launches are refused',
      },
    ]);
  });
});
