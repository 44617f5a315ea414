// The trainer protocol and the job's routes over HTTP, with a made-up engine and a real trainer
// token.

import { beforeAll, describe, expect, test } from 'vitest';
import { type JobTest, jobSettings, ledgerRange, openJobTest } from '../support/jobs.ts';

let jobs: JobTest;
beforeAll(async () => {
  jobs = await openJobTest();
});

const metric = (step: number, value = 1) => ({ name: 'loss', value, step, epoch: 0 });
const list = async (path: string) => (await jobs.call('GET', path)).body.items;

describe('reading', () => {
  test('gives the trainer its job, its snapshot and both sides of the fold', async () => {
    const { id } = await jobs.launch();
    const trainer = jobs.trainer(id);
    const job = (await trainer.get('job')).body;
    expect(job).toMatchObject({
      id,
      attempt: 1,
      seed: 7,
      settings: jobSettings,
      snapshot: { digest: jobs.snapshot },
      labels: { background: 0, organ: 1, lesion: 2 },
      channels: { '0': 'MRI' },
      groups: ['site', 'labels'],
      nextSequence: 0,
    });
    const token = jobs.launcher.launches.get(jobs.keyOf(id))?.token;
    const headers = { authorization: `Bearer ${token}` };
    const json = { ...headers, accept: 'application/json' };
    const snapshot = (await jobs.call('GET', '/v1/trainer/snapshot', undefined, json)).body;
    expect([snapshot.digest, snapshot.cases.length]).toEqual([
      jobs.snapshot,
      job.snapshot.header.caseCount,
    ]);
    const text = await (await jobs.send('GET', '/v1/trainer/cases', undefined, headers)).text();
    const cases = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const train = cases.filter(({ side }) => side === 'train').map(({ id: one }) => one);
    expect(train).toEqual(snapshot.cases.map(({ id: one }: { id: string }) => one));
    expect(cases.filter(({ side }) => side === 'val')).toHaveLength(8);
    expect(cases[0].groups).toEqual({
      site: expect.stringMatching(/^[AB]$/),
      labels: expect.any(String),
    });
  });

  test('takes no token but that of the attempt, not even the admin', async () => {
    expect((await jobs.call('GET', '/v1/trainer/job')).status).toBe(401);
  });
});

describe('reporting', () => {
  test('stores a report once, however often it is sent', async () => {
    const { id } = await jobs.launch();
    const trainer = jobs.trainer(id);
    const body = {
      sequence: 0,
      metrics: [metric(1, 0.5)],
      log: 'hello\n',
      progress: { step: 1, steps: 8 },
    };
    for (let k = 0; k < 3; k++) {
      expect(await trainer.report(body)).toEqual({
        status: 200,
        body: { accepted: true, stop: false },
      });
    }
    const points = await list(`/v1/jobs/${id}/metrics?name=loss`);
    expect(points).toEqual([
      expect.objectContaining({ name: 'loss', value: 0.5, step: 1, epoch: 0, group: null }),
    ]);
    expect(await (await jobs.send('GET', `/v1/jobs/${id}/log`)).text()).toBe('hello\n');
    expect((await jobs.read(id)).progress).toEqual({ step: 1, steps: 8 });
  });

  test('gives metrics after a sequence number', async () => {
    const { id } = await jobs.launch();
    await jobs.trainer(id).report({ sequence: 0, metrics: [metric(1), metric(2), metric(3)] });
    const all = await list(`/v1/jobs/${id}/metrics`);
    expect(await list(`/v1/jobs/${id}/metrics?after=${all[1].sequence}`)).toEqual([all[2]]);
  });

  test('refuses draws that are not of the job, and stores nothing of that report', async () => {
    const { id } = await jobs.launch();
    const range = await ledgerRange(jobs, { epoch: 0 });
    const body = { sequence: 0, metrics: [metric(1)], ledger: [{ ...range, epoch: 9 }] };
    const answer = await jobs.trainer(id).report(body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toMatch(/^\/ledger\/0/);
    expect(await list(`/v1/jobs/${id}/metrics`)).toEqual([]);
  });

  test('keeps the final report: summary and artifacts', async () => {
    const { id } = await jobs.launch();
    const summary = { dice: { organ: 0.9, mean: 0.9 }, steps: 8, seconds: 2, backend: 'wasm' };
    const artifacts = [
      { name: 'latest', path: 'checkpoint-latest', sha256: 'a'.repeat(64), bytes: 10 },
    ];
    const trainer = jobs.trainer(id);
    expect((await trainer.finish({ outcome: 'succeeded', summary, artifacts })).status).toBe(200);
    expect((await trainer.finish({ outcome: 'failed', summary: {} })).status).toBe(200);
    expect((await jobs.read(id)).summary).toEqual(summary);
    expect(await list(`/v1/jobs/${id}/artifacts`)).toEqual(artifacts);
  });
});

describe('launching', () => {
  const body = () => ({
    snapshot: jobs.snapshot,
    target: 'local',
    seed: 1,
    settings: jobSettings,
    reason: 'x',
  });
  test('shows in a dry run what the engine would get, without a token, and stores nothing', async () => {
    const before = (await list('/v1/jobs?limit=500')).length;
    const answer = await jobs.call('POST', '/v1/jobs', { ...body(), dryRun: true });
    expect(answer.status).toBe(200);
    expect(answer.body.request.environment).toMatchObject({ CW_DATA: '/images' });
    expect(JSON.stringify(answer.body)).not.toContain('CW_TOKEN');
    expect(await list('/v1/jobs?limit=500')).toHaveLength(before);
  });

  test.each([
    ['an unknown setting', { settings: { ...jobSettings, epoch: 3 } }, '/settings', 'epoch'],
    [
      'draws that are no whole batches',
      { settings: { ...jobSettings, drawsPerEpoch: 7 } },
      '/settings/drawsPerEpoch',
      'multiple',
    ],
    ['an unknown target', { target: 'moon' }, '/target', 'no such target'],
    ['an image on a local target', { image: 'x' }, '/image', ''],
    ['no reason', { reason: '' }, '/reason', 'say why'],
    ['a negative seed', { seed: -1 }, '/seed', ''],
  ])('refuses %s, pointing at it, before anything is stored', async (_, change, pointer, says) => {
    const before = (await list('/v1/jobs?limit=500')).length;
    const answer = await jobs.call('POST', '/v1/jobs', { ...body(), ...change });
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0]).toMatchObject({ pointer, detail: expect.stringContaining(says) });
    expect(await list('/v1/jobs?limit=500')).toHaveLength(before);
  });

  test('launches once under one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'launch-once' };
    const before = jobs.launcher.calls.submit;
    const first = await jobs.call('POST', '/v1/jobs', body(), headers);
    const second = await jobs.call('POST', '/v1/jobs', body(), headers);
    expect(second.body).toEqual(first.body);
    expect(jobs.launcher.calls.submit - before).toBe(1);
  });

  test('streams events and goes on after Last-Event-ID until the job has ended', async () => {
    const { id } = await jobs.launch();
    jobs.launcher.observe(jobs.keyOf(id), { state: 'exited', exit: { code: 1, signal: null } });
    await jobs.tick();
    const all = await list(`/v1/jobs/${id}/events`);
    const headers = { accept: 'text/event-stream', 'last-event-id': '1' };
    const text = await (await jobs.send('GET', `/v1/jobs/${id}/events`, undefined, headers)).text();
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((found) => Number(found[1]));
    expect(ids).toEqual(all.slice(1).map(({ sequence }: { sequence: number }) => sequence));
  });

  test('compares jobs and lists targets without what is private', async () => {
    const [one, two] = [await jobs.launch(), await jobs.launch()];
    const items = await list(`/v1/jobs/compare?ids=${one.id},${two.id}`);
    expect(items.map(({ id }: { id: string }) => id)).toEqual([one.id, two.id]);
    expect(await list('/v1/targets')).toEqual([
      {
        name: 'local',
        engine: 'local',
        images: [],
        datasets: ['phantom'],
        gpuTypes: [],
        limits: {},
      },
    ]);
  });
});
