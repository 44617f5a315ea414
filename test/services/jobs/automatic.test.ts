// What the service does by itself: further attempts after failures of the infrastructure, clearing
// up on engines, asking them no more often than is due.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ProblemError } from '../../../api/errors.ts';
import type { Observation } from '../../../api/launchers/launcher.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});
beforeEach(() => {
  Object.assign(api.launcher, { trouble: {}, during: {}, loseAnswer: false, pollSeconds: 0 });
});

const nodeLost: Observation = {
  state: 'failed',
  reason: 'infrastructure',
  detail: 'node7 went down',
};
const exited = (code: number) => ({ state: 'exited' as const, exit: { code, signal: null } });

async function running(body: Record<string, unknown> = {}) {
  const { id } = await api.launch(body);
  const trainer = api.trainer(id);
  await trainer.report({ sequence: 0 });
  return { id, trainer, key: api.keyOf(id) };
}

async function fail(id: string, attempt: number, observation: Observation = nodeLost) {
  api.launcher.observe(api.keyOf(id, attempt), observation);
  await api.tick();
}

const eventsOf = async (id: string) =>
  (await api.call('GET', `/v1/jobs/${id}/events?limit=500`)).body.items;
const launchedKeys = (id: string) =>
  [...api.launcher.launches.keys()].filter((key) => key.includes(id));

describe('a failure of the infrastructure', () => {
  test('is followed by another attempt after a pause, and its trainer can write no more', async () => {
    const { id, trainer } = await running();
    await fail(id, 1);
    const waiting = await api.read(id);
    expect(waiting).toMatchObject({ state: 'created', reason: null, endedAt: null });
    expect(waiting.attempts.map(({ state, reason }) => [state, reason?.code])).toEqual([
      ['failed', 'infrastructure'],
      ['created', undefined],
    ]);
    expect((await trainer.report({ sequence: 1 })).status).toBe(409);
    await api.tick();
    expect(launchedKeys(id)).toHaveLength(1);
    api.moveClock(11_000);
    await api.tick();
    expect(launchedKeys(id)).toEqual([api.keyOf(id, 1), api.keyOf(id, 2)]);
    expect(await api.audit(id)).toEqual(['job.launched', 'job.ended', 'job.retried']);
    const retried = (await eventsOf(id)).find(({ kind }: { kind: string }) => kind === 'retried');
    expect(retried.detail).toMatchObject({ attempt: 2, by: 'service' });
  });

  test('ends the job once the retries are used up, and a person begins them anew', async () => {
    const { id } = await running({ resources: { retries: 1 } });
    await fail(id, 1);
    api.moveClock(11_000);
    await api.tick();
    await fail(id, 2);
    expect(await api.read(id)).toMatchObject({
      state: 'failed',
      reason: { code: 'infrastructure', detail: expect.stringContaining('node7 went down') },
    });
    await api.tick();
    expect((await api.call('POST', `/v1/jobs/${id}/retry`)).status).toBe(200);
    await fail(id, 3);
    expect((await api.read(id)).state).toBe('created');
    expect((await api.read(id)).attempts).toHaveLength(4);
  });

  test('waits four times as long before each further attempt', async () => {
    const { id } = await running();
    await fail(id, 1);
    api.moveClock(10_500);
    await api.tick();
    await fail(id, 2);
    api.moveClock(10_500);
    await api.tick();
    expect(launchedKeys(id)).toHaveLength(2);
    api.moveClock(30_000);
    await api.tick();
    expect(launchedKeys(id)).toHaveLength(3);
  });

  test('of a job that was cancelled meanwhile ends it', async () => {
    const { id } = await running();
    await api.call('POST', `/v1/jobs/${id}/cancel`);
    await fail(id, 1);
    expect((await api.read(id)).state).toBe('cancelled');
  });

  test('is not tried again with cases that were withdrawn meanwhile', async () => {
    const own = await openJobTest();
    const { id } = await own.launch();
    const path = `/v1/snapshots/${own.snapshot}/cases`;
    const { cases } = await (
      await own.send('GET', path, undefined, { accept: 'application/json' })
    ).json();
    const body = { caseId: cases[0].id, reason: 'consent withdrawn' };
    expect((await own.call('POST', '/v1/datasets/phantom/withdrawals', body)).status).toBe(201);
    own.launcher.observe(own.keyOf(id), nodeLost);
    await own.tick();
    expect((await own.read(id)).state).toBe('failed');
  });

  test.each([
    ['a trainer that fails', exited(1)],
    ['memory that ran out', { ...exited(137), state: 'failed', reason: 'outOfMemory' }],
    ['what the engine refuses', { state: 'failed', reason: 'config', detail: 'no such node' }],
  ] as [string, Observation][])('is not %s: that is not tried again', async (_, observation) => {
    const { id } = await running();
    await fail(id, 1, observation);
    const { state, attempts } = await api.read(id);
    expect([state, attempts.length]).toEqual(['failed', 1]);
  });
});

describe('what an ended attempt left on its engine', () => {
  test('is cleared up once, when the engine can be asked', async () => {
    const own = await openJobTest();
    const key = own.keyOf((await own.launch()).id);
    own.launcher.observe(key, exited(7));
    await own.tick();
    own.launcher.trouble.poll = new Error('away');
    await own.tick();
    expect(own.launcher.calls.cleanup).toBe(0);
    own.launcher.trouble = {};
    await own.tick();
    await own.tick();
    expect(own.launcher.calls.cleanup).toBe(1);
    expect(own.launcher.launches.get(key)?.cancelled).toEqual([]);
  });

  test('is stopped, also where it came to life after the job was given up', async () => {
    const { id, key } = await running({ resources: { timeoutSeconds: 60 } });
    api.launcher.trouble = { poll: new Error('away'), cancel: new Error('away') };
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('timedOut');
    api.launcher.trouble = {};
    await api.tick();
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30]);
    api.moveClock(31_000);
    await api.tick();
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30, 0]);
    api.launcher.observe(key, exited(137));
    await api.tick();
    await api.tick();
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30, 0]);
  });
});

describe('an engine', () => {
  test('is asked at its own pace, and sooner when a job awaits its end', async () => {
    const own = await openJobTest();
    own.launcher.pollSeconds = 30;
    const { id } = await own.launch();
    await own.tick();
    const { calls } = own.launcher;
    const polls = calls.poll;
    for (let k = 0; k < 10; k++) {
      own.moveClock(1_000);
      await own.tick();
    }
    expect(calls.poll).toBe(polls);
    await own.trainer(id).finish({ outcome: 'succeeded', summary: {} });
    own.moveClock(1_000);
    own.launcher.observe(own.keyOf(id), exited(0));
    await own.tick();
    expect([calls.poll, (await own.read(id)).state]).toEqual([polls + 1, 'succeeded']);
  });

  test('is heard in the events of its jobs: why one waits, why it could not be asked', async () => {
    const { id, key } = await running();
    const detail = 'waits for a free GPU';
    api.launcher.observe(key, { state: 'queued', detail });
    await api.tick();
    await api.tick();
    const sentence = 'Target "local": its engine gave no answer (ECONNREFUSED).';
    api.launcher.trouble.poll = new ProblemError('unavailable', sentence);
    await api.tick();
    const said = (await eventsOf(id)).filter(({ kind }: { kind: string }) => kind === 'engine');
    expect(said.map((event: { detail: object }) => event.detail)).toEqual([
      { attempt: 1, state: 'queued', detail },
      { attempt: 1, state: 'unknown', detail: sentence },
    ]);
    expect((await api.read(id)).attempts[0].observation).toMatchObject({ state: 'unknown' });
  });

  test('that cannot take a launch yet says why, and the launch waits', async () => {
    const detail = 'Target "local": the token has expired; renew it.';
    api.launcher.trouble.submit = new ProblemError('launcher-failed', detail);
    const { id } = await api.launch();
    const { state, attempts } = await api.read(id);
    expect([state, attempts[0].observation]).toEqual([
      'submitting',
      { state: 'unknown', detail, since: expect.any(String) },
    ]);
    api.launcher.trouble = {};
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('queued');
  });

  test('gives the last lines of a trainer that could not say them itself', async () => {
    const { id } = await api.launch();
    await fail(id, 1, { ...exited(1), output: 'Error: Cannot find module\u0000 x' });
    const log = await (await api.send('GET', `/v1/jobs/${id}/log`)).text();
    expect(log).toBe('Error: Cannot find module x');
  });

  test('and keeps no more than the end of what an engine says, in whole characters', async () => {
    const { id } = await api.launch();
    const end = 'y'.repeat(16_383);
    await fail(id, 1, { ...exited(1), output: `${'x'.repeat(100_000)}\u{1f600}${end}` });
    const log = await (await api.send('GET', `/v1/jobs/${id}/log`)).text();
    expect(log).toBe(end);
  });
});
