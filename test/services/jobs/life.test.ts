// A job's life on a made-up engine: what doubles nothing, loses nothing, and believes nothing
// early.

import { beforeAll, describe, expect, test } from 'vitest';
import type { TrainingPlan } from '../../../api/contract/plans.ts';
import { type JobTest, jobSettings, ledgerRange, openJobTest } from '../../support/jobs.ts';

let jobs: JobTest;
beforeAll(async () => {
  jobs = await openJobTest();
});

const exited = (code: number | null, signal: string | null = null) =>
  ({ state: 'exited', exit: { code, signal } }) as const;

async function launched(body = {}) {
  const { id } = await jobs.launch(body);
  const trainer = jobs.trainer(id);
  return { id, key: jobs.keyOf(id), trainer };
}

async function finished(id: string) {
  await jobs.trainer(id).finish({ outcome: 'succeeded', summary: { steps: 8 } });
}

describe('a job', () => {
  test('runs when its trainer speaks and succeeds only after the final report and the exit', async () => {
    const { id, key, trainer } = await launched();
    await jobs.tick();
    expect((await jobs.read(id)).state).toBe('starting');
    await trainer.get('job');
    expect((await jobs.read(id)).state).toBe('running');
    await finished(id);
    await jobs.tick();
    expect((await jobs.read(id)).state).toBe('finishing');
    jobs.launcher.observe(key, exited(0));
    await jobs.tick();
    expect(await jobs.read(id)).toMatchObject({ state: 'succeeded', reason: null });
    expect(await jobs.audit(id)).toEqual(['job.launched', 'job.ended']);
  });

  test.each([
    ['exit code 0 without a report', exited(0), 'noReport', 'nothing proves that it trained'],
    ['exit code 7', exited(7), 'user', 'ended with exit code 7'],
    ['exit code 64', exited(64), 'config', 'ended with exit code 64'],
    ['signal 9', exited(null, 'SIGKILL'), 'external', 'signal SIGKILL'],
  ])('fails on %s, with a reason', async (_, observation, code, says) => {
    const { id, key } = await launched();
    jobs.launcher.observe(key, observation);
    await jobs.tick();
    const job = await jobs.read(id);
    expect(job.state).toBe('failed');
    expect(job.reason).toEqual({ code, detail: expect.stringContaining(says) });
  });

  test('fails with the words of its trainer when that reports a failure', async () => {
    const { id, key, trainer } = await launched();
    await trainer.finish({
      outcome: 'failed',
      summary: {},
      error: 'instability: 10 steps in a row',
    });
    jobs.launcher.observe(key, exited(1));
    await jobs.tick();
    expect((await jobs.read(id)).reason).toEqual({
      code: 'instability',
      detail: 'instability: 10 steps in a row',
    });
  });

  test('shows what its trainer computes on while it runs, and tells of it once', async () => {
    const { id, trainer } = await launched();
    const environment = {
      backend: 'native',
      reason: 'native starts',
      device: 'GPU, NVIDIA H100 80GB HBM3',
      versions: { tfjs: '4.22.0', libtensorflow: '2.19.1' },
      selfTest: { operations: 12, worst: 3e-6 },
    };
    expect((await jobs.read(id)).attempts[0].environment).toBeNull();
    await trainer.report({ sequence: 0, environment });
    await trainer.report({ sequence: 0, environment });
    await trainer.report({ sequence: 1 });
    const { state, attempts } = await jobs.read(id);
    expect([state, attempts[0].environment]).toEqual(['running', environment]);
    const events = (await jobs.call('GET', `/v1/jobs/${id}/events`)).body.items;
    expect(events.filter(({ kind }: { kind: string }) => kind === 'trainerStarted')).toMatchObject([
      { detail: { attempt: 1, ...environment } },
    ]);
  });

  test('shows what its trainer planned while it runs, and tells of it once', async () => {
    const { id, trainer } = await launched();
    const plan: TrainingPlan = {
      spacing: [2, 1, 1],
      medianShape: [16, 32, 32],
      cases: { training: 64, resampled: 0 },
      patch: [16, 32, 32],
      features: [8, 16],
      kernels: [
        [1, 3, 3],
        [3, 3, 3],
      ],
      strides: [
        [1, 1, 1],
        [1, 2, 2],
      ],
      normalization: [{ kind: 'ct', low: -100, high: 300, mean: 50, deviation: 60 }],
      memoryMiB: { estimate: 40, budget: 2048 },
      overridden: ['features'],
    };
    expect((await jobs.read(id)).attempts[0].plan).toBeNull();
    await trainer.report({ sequence: 0, plan });
    await trainer.report({ sequence: 0, plan });
    expect((await jobs.read(id)).attempts[0].plan).toEqual(plan);
    const events = (await jobs.call('GET', `/v1/jobs/${id}/events`)).body.items;
    const planned = events.filter(({ kind }: { kind: string }) => kind === 'trainingPlanned');
    expect(planned).toMatchObject([{ detail: { attempt: 1, ...plan } }]);
    const wrong = { ...plan, patch: [16, 0, 32] as [number, number, number] };
    expect((await trainer.report({ sequence: 1, plan: wrong })).status).toBe(422);
  });

  test('refuses an environment with fields that nobody knows', async () => {
    const { id, trainer } = await launched();
    const environment = { backend: 'cpu', reason: '', device: 'CPU', versions: {}, host: 'x' };
    expect((await trainer.report({ sequence: 0, environment })).status).toBe(422);
    expect((await jobs.read(id)).attempts[0].environment).toBeNull();
  });

  test('ends cancelled whatever the engine says afterwards', async () => {
    const { id, key, trainer } = await launched();
    await jobs.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'wrong data' });
    expect(jobs.launcher.launches.get(key)?.cancelled).toHaveLength(1);
    expect((await trainer.report({ sequence: 0 })).body.stop).toBe(true);
    jobs.launcher.observe(key, exited(0));
    await jobs.tick();
    expect((await jobs.read(id)).state).toBe('cancelled');
    expect(await jobs.audit(id)).toEqual(['job.launched', 'job.cancelled', 'job.ended']);
  });
});

describe('submitting', () => {
  test('adopts a launch whose answer was lost, and starts no second one', async () => {
    jobs.launcher.loseAnswer = true;
    const answer = await jobs.call('POST', '/v1/jobs', {
      snapshot: jobs.snapshot,
      target: 'local',
      seed: 1,
      settings: jobSettings,
      reason: 'x',
    });
    jobs.launcher.loseAnswer = false;
    const { items } = (await jobs.call('GET', '/v1/jobs?limit=1')).body;
    const { id } = answer.status === 201 ? answer.body : items[0];
    jobs.moveClock(60_000);
    await jobs.tick();
    await jobs.tick();
    expect([...jobs.launcher.launches.keys()].filter((key) => key.includes(id))).toHaveLength(1);
    expect((await jobs.trainer(id).get('job')).status).toBe(200);
    expect((await jobs.read(id)).state).toBe('running');
  });

  test('happens once when two ticks run at the same time', async () => {
    jobs.launcher.trouble.find = new Error('away');
    const body = {
      snapshot: jobs.snapshot,
      target: 'local',
      seed: 2,
      settings: jobSettings,
      reason: 'x',
    };
    await jobs.call('POST', '/v1/jobs', body);
    delete jobs.launcher.trouble.find;
    const { id } = (await jobs.call('GET', '/v1/jobs?limit=1')).body.items[0];
    const before = jobs.launcher.calls.submit;
    jobs.moveClock(60_000);
    await Promise.all([jobs.tick(), jobs.tick()]);
    expect(jobs.launcher.calls.submit - before).toBe(1);
    expect(jobs.launcher.launches.has(jobs.keyOf(id))).toBe(true);
  });
});

describe('an engine', () => {
  test('that cannot be asked changes nothing, however long', async () => {
    const { id, trainer } = await launched();
    await trainer.get('job');
    jobs.launcher.trouble.poll = new Error('unreachable');
    for (let k = 0; k < 10; k++) {
      jobs.moveClock(120_000);
      await jobs.tick();
    }
    delete jobs.launcher.trouble.poll;
    expect((await jobs.read(id)).state).toBe('running');
  });

  test('that knows a launch no more ends the job only after polls, minutes and silence', async () => {
    const { id, key, trainer } = await launched({ resources: { retries: 0 } });
    await trainer.get('job');
    jobs.launcher.launches.get(key)!.observation = { state: 'notFound' };
    const states = [];
    for (let k = 0; k < 8; k++) {
      await jobs.tick();
      states.push((await jobs.read(id)).state);
      jobs.moveClock(60_000);
    }
    expect(states.slice(0, 5)).toEqual(Array(5).fill('running'));
    const job = await jobs.read(id);
    expect(job).toMatchObject({ state: 'failed', reason: { code: 'infrastructure' } });
    expect(job.attempts[0].state).toBe('lost');
  });

  test('is told to end a job that runs over its time', async () => {
    const { id } = await jobs.launch({ resources: { timeoutSeconds: 60 } });
    await jobs.trainer(id).get('job');
    jobs.moveClock(61_000);
    await jobs.tick();
    expect(await jobs.read(id)).toMatchObject({
      state: 'timedOut',
      reason: { detail: expect.stringContaining('60 s') },
    });
    expect(jobs.launcher.launches.get(jobs.keyOf(id))?.cancelled).toHaveLength(1);
  });
});

describe('an attempt that is over', () => {
  test('can write nothing: its token answers 409, and a retry has one of its own', async () => {
    const { id, key, trainer } = await launched();
    jobs.launcher.observe(key, exited(1));
    await jobs.tick();
    expect((await trainer.report({ sequence: 0 })).status).toBe(409);
    const retried = await jobs.call('POST', `/v1/jobs/${id}/retry`, { reason: 'once more' });
    expect(retried.status).toBe(200);
    expect((await trainer.report({ sequence: 0 })).status).toBe(409);
    expect((await trainer.get('job')).status).toBe(409);
    expect((await jobs.trainer(id, 2).get('job')).body).toMatchObject({ id, attempt: 2 });
    expect((await jobs.call('POST', `/v1/jobs/${id}/retry`, {})).status).toBe(409);
  });
});

describe('draws', () => {
  test('are verified, partial, or a mismatch that stands in events and audit', async () => {
    const { id, trainer } = await launched();
    const whole = await ledgerRange(jobs, { epoch: 0 });
    const half = await ledgerRange(jobs, { epoch: 1, draws: 4 });
    await trainer.report({ sequence: 0, ledger: [whole, half] });
    expect((await jobs.read(id)).verifiedDraws).toEqual({ verified: 1, partial: 1, mismatch: 0 });
    expect(await jobs.audit(id)).not.toContain('job.draw-mismatch');
    const rest = await ledgerRange(jobs, { epoch: 1, from: 4, draws: 4 });
    await trainer.report({ sequence: 1, ledger: [{ ...rest, digest: whole.digest }] });
    expect((await jobs.read(id)).verifiedDraws).toEqual({ verified: 1, partial: 0, mismatch: 1 });
    expect(await jobs.audit(id)).toContain('job.draw-mismatch');
    const { items } = (await jobs.call('GET', `/v1/jobs/${id}/events`)).body;
    expect(items.map(({ kind }: { kind: string }) => kind)).toContain('drawMismatch');
  });

  test('may be repeated after a resume; the overlap is shown', async () => {
    const { id, trainer } = await launched();
    const first = await ledgerRange(jobs, { epoch: 0, draws: 6 });
    const again = await ledgerRange(jobs, { epoch: 0, from: 4, draws: 4 });
    await trainer.report({ sequence: 0, ledger: [first] });
    await trainer.report({ sequence: 1, ledger: [again] });
    const { items } = (await jobs.call('GET', `/v1/jobs/${id}/ledger`)).body;
    expect(items).toEqual([
      expect.objectContaining({ epoch: 0, state: 'verified', draws: 8, repeated: 2 }),
    ]);
  });
});
