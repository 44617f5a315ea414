// Monitors over HTTP: metrics as a trainer reports them, and what the job, its events, its audit
// entries and the answers to the trainer then say.

import { beforeAll, describe, expect, test } from 'vitest';
import type { MonitorViews } from '../../api/contract/monitors.ts';
import type { Metric } from '../../api/contract/trainer.ts';
import { type JobTest, ledgerRange, openJobTest, type Trainer } from '../support/jobs.ts';

let jobs: JobTest;
beforeAll(async () => {
  jobs = await openJobTest();
});

type Sent = Partial<Metric> & { name: string; value: number };

/** A job with monitors, and a trainer that numbers its reports. */
async function watched(monitors: Record<string, unknown>) {
  const { id } = await jobs.launch({ monitors });
  let sequence = 0;
  const of =
    (trainer: Trainer) =>
    async (metrics: Sent[], epoch: number, more: object = {}) => {
      const placed = metrics.map((metric) => ({ step: (epoch + 1) * 4, epoch, ...metric }));
      const answer = await trainer.report({ sequence: sequence++, metrics: placed, ...more });
      expect(answer.status).toBe(200);
      return answer.body as { stop: boolean };
    };
  const read = async () => (await jobs.read(id)).monitors as MonitorViews;
  const events = async (kind = 'monitorFired') => {
    const { items } = (await jobs.call('GET', `/v1/jobs/${id}/events?limit=500`)).body;
    return items
      .filter((event: { kind: string }) => event.kind === kind)
      .map(({ detail }: { detail: Record<string, unknown> }) => detail);
  };
  const audited = async () => {
    const path = `/v1/audit?subject=job/${id}&action=job.monitor-fired`;
    return (await jobs.call('GET', path)).body.items;
  };
  return { id, of, report: of(jobs.trainer(id)), read, events, audited };
}

const site = (value: number): Sent[] => [{ name: 'diceMean', value, group: 'site=B' }];
const quiet = { state: 'quiet', active: false, findings: 0, sentence: null };

describe('a monitor that fires', () => {
  test('is shown with the job, and is an event and an audit entry, once for an episode', async () => {
    const job = await watched({ groupRegression: { action: 'note', patience: 2 } });
    expect((await job.read()).groupRegression).toEqual({
      ...quiet,
      action: 'note',
      patience: 2,
      threshold: 0.05,
      value: null,
      subject: null,
      epoch: null,
      step: null,
    });
    for (const [epoch, value] of [0.7, 0.81, 0.74].entries()) await job.report(site(value), epoch);
    expect((await job.read()).groupRegression).toMatchObject({
      ...quiet,
      value: expect.closeTo(0.07),
    });
    for (let epoch = 3; epoch < 6; epoch++) {
      expect((await job.report(site(0.73), epoch)).stop).toBe(false);
    }
    const sentence =
      'Dice of group site=B fell from 0.81 (epoch 1) to 0.73 (epoch 3), 0.08 below its best; over the threshold of 0.05 for 2 rounds';
    const finding = {
      subject: 'site=B',
      epoch: 3,
      step: 16,
      value: expect.closeTo(0.08),
      sentence,
    };
    expect((await job.read()).groupRegression).toEqual({
      ...finding,
      state: 'fired',
      active: true,
      findings: 1,
      action: 'note',
      patience: 2,
      threshold: 0.05,
    });
    expect(await job.events()).toEqual([
      {
        ...finding,
        monitor: 'groupRegression',
        rounds: 2,
        action: 'note',
        patience: 2,
        threshold: 0.05,
      },
    ]);
    expect(await job.audited()).toEqual([
      expect.objectContaining({
        actor: 'service',
        reason: sentence,
        detail: expect.objectContaining({ attempt: 1, monitor: 'groupRegression', action: 'note' }),
      }),
    ]);
    await job.report(site(0.8), 6);
    expect((await job.read()).groupRegression).toMatchObject({ state: 'fired', active: false });
  });
});

describe('what fires, and what does not', () => {
  test.each<[string, Sent[][]]>([
    ['calibrationDrift', [[{ name: 'volumeRatio', value: 1.6 }]]],
    ['instability', [[{ name: 'nonFinite', value: 1 }]]],
    ['instability', [[{ name: 'skippedSteps', value: 2 }]]],
    [
      'instability',
      [
        Array.from({ length: 12 }, (_, step) => ({ name: 'gradientNorm', value: 1, step })),
        [{ name: 'gradientNorm', value: 7, step: 12 }],
      ],
    ],
    [
      'sampledCaseOverfit',
      Array.from({ length: 3 }, () => [
        { name: 'caseLoss', value: 0.1, group: 'scoreDecile=9' },
        { name: 'caseLoss', value: 0.3, group: 'scoreDecile=0' },
        { name: 'validationLoss', value: 0.9, group: 'scoreDecile=9' },
        { name: 'validationLoss', value: 0.4, group: 'scoreDecile=0' },
      ]),
    ],
  ])('%s by what is reported (%#)', async (name, rounds) => {
    const job = await watched({ [name]: { action: 'note' } });
    for (const [epoch, metrics] of rounds.entries()) await job.report(metrics, epoch);
    expect(await job.events()).toEqual([expect.objectContaining({ monitor: name })]);
    expect((await job.read())[name as 'instability']).toMatchObject({
      state: 'fired',
      findings: 1,
    });
  });

  test('is silent where nothing is wrong, and where the job did not ask for it', async () => {
    const all = ['sampledCaseOverfit', 'groupRegression', 'calibrationDrift', 'instability'];
    const asked = Object.fromEntries(
      [...all, 'drawMismatch'].map((name) => [name, { action: 'stop' }]),
    );
    const job = await watched(asked);
    const unwatched = await watched({});
    for (let epoch = 0; epoch < 2; epoch++) {
      const well: Sent[] = [
        ...site(0.8),
        { name: 'volumeRatio', value: 1.1 },
        { name: 'loss', value: 0.5 },
        { name: 'skippedSteps', value: 0 },
        { name: 'caseLoss', value: 0.3, group: 'scoreDecile=9' },
        { name: 'caseLoss', value: 0.3, group: 'scoreDecile=0' },
        { name: 'validationLoss', value: 0.4, group: 'scoreDecile=9' },
        { name: 'validationLoss', value: 0.4, group: 'scoreDecile=0' },
      ];
      const ledger = [await ledgerRange(jobs, { epoch })];
      expect((await job.report(well, epoch, { ledger })).stop).toBe(false);
      const harm = [...site(1 - epoch), { name: 'volumeRatio', value: 9 }];
      expect((await unwatched.report(harm, epoch)).stop).toBe(false);
    }
    expect([await job.events(), await unwatched.events()]).toEqual([[], []]);
    expect(Object.values(await job.read()).map(({ state }) => state)).toEqual(
      Array(5).fill('quiet'),
    );
  });

  test('sees nothing new in a report that is sent again', async () => {
    const { id } = await jobs.launch({ monitors: { calibrationDrift: { action: 'note' } } });
    const body = { sequence: 0, metrics: [{ name: 'volumeRatio', value: 2, step: 1, epoch: 0 }] };
    for (let k = 0; k < 3; k++) await jobs.trainer(id).report(body);
    const fired = (await jobs.audit(id)).filter((action) => action === 'job.monitor-fired');
    expect(fired).toHaveLength(1);
  });
});

describe('a monitor that stops its job', () => {
  const exited = (code: number) => ({ state: 'exited' as const, exit: { code, signal: null } });
  const wrong = async (epoch: number) => [
    { ...(await ledgerRange(jobs, { epoch })), digest: `sha256:${'0'.repeat(64)}` },
  ];

  test('says so in the answer, and the job fails with the monitor as the reason', async () => {
    const job = await watched({ drawMismatch: { action: 'stop' } });
    expect((await job.report([], 0, { ledger: await wrong(0) })).stop).toBe(true);
    expect((await job.report([], 0)).stop).toBe(true);
    const reason = {
      code: 'user',
      detail:
        "the monitor drawMismatch of this job stops it: draws 0 to 7 of attempt 1 are not the plan's of epoch 0: the trainer did not draw what the snapshot says",
    };
    expect(await job.events('stopRequested')).toEqual([{ monitor: 'drawMismatch', reason }]);
    await jobs.tick();
    expect(jobs.launcher.launches.get(jobs.keyOf(job.id))?.cancelled).toEqual([30]);
    const stopped = { outcome: 'failed', error: 'stopped on request', summary: {} };
    await jobs.trainer(job.id).finish(stopped);
    jobs.launcher.observe(jobs.keyOf(job.id), exited(75));
    await jobs.tick();
    expect(await jobs.read(job.id)).toMatchObject({ state: 'failed', reason });
  });

  test('a retry goes on; what was found stays known, and harm of its own stops it again', async () => {
    const job = await watched({
      calibrationDrift: { action: 'stop' },
      drawMismatch: { action: 'stop' },
    });
    const drift = [{ name: 'volumeRatio', value: 1.7 }];
    expect((await job.report(drift, 0)).stop).toBe(true);
    jobs.launcher.observe(jobs.keyOf(job.id), exited(75));
    await jobs.tick();
    expect((await jobs.read(job.id)).reason?.detail).toContain('calibrationDrift');
    const retried = await jobs.call('POST', `/v1/jobs/${job.id}/retry`, { reason: 'it was known' });
    expect(retried.body).toMatchObject({ state: 'queued', reason: null });
    const again = job.of(jobs.trainer(job.id, 2));
    expect((await again(drift, 0)).stop).toBe(false);
    expect((await again([{ name: 'volumeRatio', value: 1 }], 1)).stop).toBe(false);
    expect((await again([], 1, { ledger: await wrong(1) })).stop).toBe(true);
    expect((await job.events()).map(({ monitor }: Record<string, unknown>) => monitor)).toEqual([
      'calibrationDrift',
      'drawMismatch',
    ]);
  });

  test('instability is a reason of its own', async () => {
    const job = await watched({ instability: { action: 'stop' } });
    await job.report([{ name: 'nonFinite', value: 1 }], 0);
    jobs.launcher.observe(jobs.keyOf(job.id), exited(0));
    await jobs.tick();
    expect((await jobs.read(job.id)).reason).toEqual({
      code: 'instability',
      detail:
        'the monitor instability of this job stops it: the loss or a gradient was not finite at step 4 (epoch 0); the step was skipped',
    });
  });
});

describe('a monitor that reverts draws', () => {
  test('asks for it once, while nobody has taken it up, and stops nothing', async () => {
    const job = await watched({
      calibrationDrift: { action: 'revert' },
      groupRegression: { action: 'revert', patience: 1 },
    });
    expect((await job.report([...site(0.9), { name: 'volumeRatio', value: 1 }], 0)).stop).toBe(
      false,
    );
    expect((await job.report([{ name: 'volumeRatio', value: 1.5 }], 1)).stop).toBe(false);
    expect((await job.report(site(0.7), 1)).stop).toBe(false);
    expect(await job.events()).toHaveLength(2);
    expect(await job.events('revertRequested')).toEqual([
      { monitor: 'calibrationDrift', sentence: expect.stringContaining('1.5 times') },
    ]);
    expect(await jobs.read(job.id)).toMatchObject({ state: 'running', validationInformed: false });
  });
});
