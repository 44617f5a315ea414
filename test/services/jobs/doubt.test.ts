// Moments of doubt: what comes in while the engine is being asked, and engines that cannot be
// asked.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ProblemError } from '../../../api/errors.ts';
import { reconcileJobs } from '../../../api/services/jobs/reconcile.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});
beforeEach(() => {
  Object.assign(api.launcher, { trouble: {}, during: {}, loseAnswer: false });
});

const exited = (code: number) => ({ state: 'exited' as const, exit: { code, signal: null } });
const away = new Error('connection refused');

async function running() {
  const { id } = await api.launch();
  const trainer = api.trainer(id);
  await trainer.report({ sequence: 0 });
  return { id, trainer, key: api.keyOf(id) };
}

describe('a final report', () => {
  test('that comes in while the engine is being asked is not overruled by the exit', async () => {
    const { id, trainer, key } = await running();
    api.launcher.during.poll = async () => {
      api.launcher.during = {};
      await trainer.finish({ outcome: 'succeeded' });
      api.launcher.observe(key, exited(0));
    };
    await api.tick();
    expect((await api.read(id)).state).not.toBe('failed');
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
  });

  test('counts after a grace where the process does not end, and the process is ended', async () => {
    const { id, trainer, key } = await running();
    await trainer.finish({ outcome: 'succeeded' });
    await api.tick();
    expect((await api.read(id)).state).toBe('finishing');
    api.moveClock(120_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([0]);
  });

  test('counts where the engine forgets the launch after it', async () => {
    const { id, trainer, key } = await running();
    await trainer.finish({ outcome: 'succeeded' });
    api.launcher.observe(key, { state: 'notFound' });
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
  });
});

describe('exit code 137', () => {
  test.each([
    ['external', undefined],
    ['outOfMemory', 'outOfMemory' as const],
  ])('is %s where the engine says %s of it', async (code, reason) => {
    const { id, key } = await running();
    api.launcher.observe(key, { ...exited(137), state: 'failed', reason });
    await api.tick();
    expect((await api.read(id)).reason?.code).toBe(code);
  });
});

describe('an engine that is away', () => {
  test('does not keep a launch from being stored, and is asked again after the lease', async () => {
    api.launcher.trouble.find = away;
    const { id } = await api.launch();
    expect((await api.read(id)).state).toBe('submitting');
    api.launcher.trouble = {};
    await api.tick();
    expect(api.launcher.launches.has(api.keyOf(id))).toBe(false);
    api.moveClock(31_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('queued');
  });

  test('keeps nobody from cancelling what was never launched there', async () => {
    api.launcher.trouble.find = away;
    const { id } = await api.launch();
    expect((await api.call('POST', `/v1/jobs/${id}/cancel`)).body.state).toBe('cancelling');
    api.moveClock(31_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
  });

  test('is no proof that the attempt before has stopped: a retry has to wait', async () => {
    const { id, key } = await running();
    api.launcher.observe(key, exited(7));
    await api.tick();
    api.launcher.observe(key, { state: 'unknown', detail: 'no word of it' });
    const refused = await api.call('POST', `/v1/jobs/${id}/retry`);
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      expect.stringContaining('its engine does not say (no word of it)'),
    ]);
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([]);
    api.launcher.observe(key, exited(7));
    expect((await api.call('POST', `/v1/jobs/${id}/retry`)).status).toBe(200);
  });

  test('for one attempt does not stop the others', async () => {
    const stuck = await running();
    const fine = await running();
    await api.call('POST', `/v1/jobs/${stuck.id}/cancel`);
    api.launcher.trouble.cancel = away;
    api.launcher.observe(fine.key, exited(7));
    await api.tick();
    expect((await api.read(fine.id)).state).toBe('failed');
    expect((await api.read(stuck.id)).state).toBe('cancelling');
  });

  test('for one that is not submitted yet does not stop the others', async () => {
    api.launcher.trouble.find = away;
    await api.launch();
    const fine = await api.launch();
    api.launcher.trouble = {};
    api.moveClock(31_000);
    await api.tick();
    api.launcher.trouble.find = away;
    await api.launch();
    api.moveClock(31_000);
    const key = api.keyOf(fine.id);
    api.launcher.observe(key, exited(7));
    await api.tick();
    expect((await api.read(fine.id)).state).toBe('failed');
  });

  test('is named in the observation until it is back', async () => {
    const { id } = await running();
    api.launcher.trouble.poll = away;
    await api.tick();
    const observation = async () => (await api.read(id)).attempts[0].observation;
    expect(await observation()).toMatchObject({ state: 'unknown' });
    api.launcher.trouble = {};
    await api.tick();
    expect(await observation()).toMatchObject({ state: 'running' });
  });

  test('is told apart from one that refuses, whose word ends the attempt', async () => {
    api.launcher.trouble.submit = new ProblemError('unprocessable', 'no such partition: gpu9');
    const { id } = await api.launch();
    const { state, reason } = await api.read(id);
    expect(state).toBe('failed');
    expect(reason).toEqual({ code: 'config', detail: 'no such partition: gpu9' });
  });
});

describe('a lease', () => {
  let own: JobTest;
  beforeAll(async () => {
    own = await openJobTest();
  });
  const elsewhere = () => reconcileJobs({ ...own.deps, process: {} });

  test('is renewed for the submit, however long the question before it took', async () => {
    const { calls, during } = own.launcher;
    during.find = async () => own.moveClock(29_000);
    during.submit = async () => {
      own.launcher.during = {};
      own.moveClock(45_000);
      await elsewhere();
    };
    const { id } = await own.launch();
    expect((await own.read(id)).state).toBe('queued');
    expect([calls.find, calls.submit]).toEqual([1, 1]);
  });

  test('that has passed to another lets its launch be, which is the same one', async () => {
    own.launcher.loseAnswer = true;
    const { id } = await own.launch();
    own.moveClock(61_000);
    own.launcher.during.find = async () => {
      own.launcher.during = {};
      own.moveClock(31_000);
      await elsewhere();
    };
    await own.tick();
    expect((await own.read(id)).state).toBe('queued');
    expect(own.launcher.launches.get(own.keyOf(id))?.cancelled).toEqual([]);
  });
});

describe('a launch whose answer was lost', () => {
  async function lost() {
    api.launcher.loseAnswer = true;
    const { id } = await api.launch();
    api.launcher.loseAnswer = false;
    return { id, key: api.keyOf(id) };
  }

  test('is adopted also when its trainer reports first', async () => {
    const { id, key } = await lost();
    const trainer = api.trainer(id);
    await trainer.report({ sequence: 0 });
    expect((await api.read(id)).state).toBe('running');
    api.moveClock(61_000);
    await api.tick();
    await trainer.finish({ outcome: 'succeeded' });
    api.launcher.observe(key, exited(0));
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
  });

  test('is ended by a cancellation that comes before it is adopted', async () => {
    const { id, key } = await lost();
    expect((await api.call('POST', `/v1/jobs/${id}/cancel`)).body.state).toBe('cancelling');
    api.moveClock(61_000);
    await api.tick();
    await api.tick();
    expect(api.launcher.launches.get(key)?.cancelled).toEqual([30]);
    api.launcher.observe(key, exited(143));
    await api.tick();
    expect((await api.read(id)).state).toBe('cancelled');
  });
});

test('the ticks of two processes at once tell and audit the end of a job once', async () => {
  const { id, trainer, key } = await running();
  await trainer.finish({ outcome: 'succeeded' });
  api.launcher.observe(key, exited(0));
  await Promise.all([api.tick(), reconcileJobs({ ...api.deps, process: {} })]);
  const { items } = (await api.call('GET', `/v1/jobs/${id}/events`)).body;
  const ends = items.filter((event: any) => event.detail.state === 'succeeded');
  expect(ends).toHaveLength(1);
  expect((await api.audit(id)).filter((action) => action === 'job.ended')).toHaveLength(1);
});
