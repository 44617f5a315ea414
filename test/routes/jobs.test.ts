// Jobs over HTTP: what is refused before anything is stored, and what can be read of a job.

import { beforeAll, describe, expect, test } from 'vitest';
import { type JobTest, openJobTest } from '../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const body = (more: object = {}) => ({
  snapshot: api.snapshot,
  target: 'local',
  seed: 7,
  settings: { epochs: 2, drawsPerEpoch: 8, batchSize: 2 },
  reason: 'test',
  ...more,
});
const jobCount = async () => (await api.call('GET', '/v1/jobs?limit=500')).body.items.length;
const point = (name: string, value: number, more: object = {}) => ({
  name,
  value,
  step: 1,
  ...more,
});

describe('launching', () => {
  test.each<[string, object, number, string]>([
    ['an unknown setting', { settings: { epoch: 3 } }, 422, 'epoch'],
    [
      'draws that are no multiple of the batch',
      { settings: { drawsPerEpoch: 7, batchSize: 2 } },
      422,
      'multiple',
    ],
    ['an unknown monitor', { monitors: { luck: { action: 'stop' } } }, 422, 'luck'],
    ['an unknown resource', { resources: { gpu: 1 } }, 422, 'gpu'],
    ['a seed that is no whole number', { seed: 1.5 }, 422, '/seed'],
    ['no reason', { reason: '' }, 422, '/reason'],
    ['a target that is not there', { target: 'moon' }, 422, 'this deployment has: local'],
    ['an image on a target without', { image: 'x@sha256:1' }, 422, 'runs no image'],
    ['batch Dice', { settings: { allowBatchDice: true } }, 422, 'allowBatchDice'],
    ['a snapshot that is not there', { snapshot: 'nothing' }, 404, 'There is no snapshot'],
    ['an alias that is not there', { snapshot: 'phantom@best:0' }, 404, 'has no alias'],
  ])('refuses %s and stores nothing', async (_, change, status, words) => {
    const before = await jobCount();
    const answer = await api.call('POST', '/v1/jobs', body(change));
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(words);
    expect(await jobCount()).toBe(before);
  });

  test('dry run shows the native request without a token and stores nothing', async () => {
    const before = await jobCount();
    const launched = api.launcher.calls.submit;
    const answer = await api.call('POST', '/v1/jobs', body({ dryRun: true }));
    expect(answer.status).toBe(200);
    expect(answer.body.request.environment.CW_DATA).toBe('/images');
    expect(JSON.stringify(answer.body)).not.toMatch(/cw_[0-9a-z]{20}|CW_TOKEN/);
    expect([await jobCount(), api.launcher.calls.submit]).toEqual([before, launched]);
  });

  test('takes a snapshot by id as well as by digest', async () => {
    const { snapshot } = await api.launch();
    const answer = await api.call('POST', '/v1/jobs', body({ snapshot: snapshot.id }));
    expect(answer.body.snapshot).toEqual({ id: snapshot.id, digest: api.snapshot, fold: 0 });
  });

  test('happens once per Idempotency-Key, also where the engine is away', async () => {
    const headers = { 'idempotency-key': 'fold-0' };
    api.launcher.trouble.find = new Error('connection refused');
    const before = await jobCount();
    const first = await api.call('POST', '/v1/jobs', body(), headers);
    const second = await api.call('POST', '/v1/jobs', body(), headers);
    api.launcher.trouble = {};
    expect([first.status, second.body.id]).toEqual([201, first.body.id]);
    expect(await jobCount()).toBe(before + 1);
    const other = await api.call('POST', '/v1/jobs', body({ seed: 8 }), headers);
    expect(other.status).toBe(409);
  });

  test('is refused where the target has no images of the dataset', async () => {
    const bare = await openJobTest({ dataPaths: {} });
    const answer = await bare.call('POST', '/v1/jobs', { ...body(), snapshot: bare.snapshot });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain('no images of dataset "phantom"');
  });
});

describe('reading', () => {
  test('pages through jobs, newest first, each once', async () => {
    for (let k = 0; k < 3; k++) await api.launch();
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`;
      const { body: page } = await api.call('GET', `/v1/jobs?limit=2${query}`);
      seen.push(...page.items.map((job: any) => job.id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toHaveLength(await jobCount());
    expect(seen).toEqual([...new Set(seen)].sort().reverse());
  });

  test('answers 404 for what is not there', async () => {
    for (const path of ['', '/metrics', '/events', '/log', '/ledger', '/artifacts']) {
      expect((await api.call('GET', `/v1/jobs/nothing${path}`)).status).toBe(404);
    }
    expect((await api.call('POST', '/v1/jobs/nothing/cancel')).status).toBe(404);
    expect((await api.call('POST', '/v1/jobs/nothing/retry')).status).toBe(404);
  });

  test('metrics by name and group, after a sequence, and in pages', async () => {
    const { id } = await api.launch();
    const metrics = [
      point('loss', 3),
      point('dice', 0.5, { group: 'site=A', class: 'lesion' }),
      point('loss', 2),
      point('loss', 1),
    ];
    await api.trainer(id).report({ sequence: 0, metrics });
    const read = async (query: string) =>
      (await api.call('GET', `/v1/jobs/${id}/metrics?${query}`)).body;
    const losses = await read('name=loss');
    expect(losses.items.map((item: any) => item.value)).toEqual([3, 2, 1]);
    expect((await read('group=site=A')).items).toMatchObject([{ class: 'lesion', value: 0.5 }]);
    const after = await read(`name=loss&after=${losses.items[0].sequence}`);
    expect(after.items.map((item: any) => item.value)).toEqual([2, 1]);
    const first = await read('name=loss&limit=2');
    const second = await read(`name=loss&limit=2&cursor=${first.nextCursor}`);
    expect(second.items.map((item: any) => item.value)).toEqual([1]);
    expect(second.nextCursor).toBeNull();
  });

  test('compares jobs by settings, snapshots and last metrics, in the order asked for', async () => {
    const [one, two] = [(await api.launch()).id, (await api.launch({ seed: 8 })).id];
    await api.trainer(one).report({ sequence: 0, metrics: [point('loss', 3), point('loss', 1)] });
    await api.trainer(two).report({ sequence: 0, metrics: [point('loss', 2)] });
    const { items } = (await api.call('GET', `/v1/jobs/compare?ids=${two},${one}`)).body;
    expect(items.map((job: any) => [job.id, job.seed, job.metrics[0].value])).toEqual([
      [two, 8, 2],
      [one, 7, 1],
    ]);
    expect((await api.call('GET', `/v1/jobs/compare?ids=${one},nothing`)).status).toBe(404);
  });
});

describe('events', () => {
  async function endedJob() {
    const { id } = await api.launch();
    await api.trainer(id).finish({ outcome: 'succeeded' });
    api.launcher.observe(api.keyOf(id), { state: 'exited', exit: { code: 0, signal: null } });
    await api.tick();
    return id;
  }

  test('are numbered from 1 without gaps and read in pages', async () => {
    const id = await endedJob();
    const { items } = (await api.call('GET', `/v1/jobs/${id}/events`)).body;
    expect(items.map((event: any) => event.sequence)).toEqual(
      items.map((_: any, k: number) => k + 1),
    );
    expect(items[0]).toMatchObject({ kind: 'created', detail: { reason: 'test' } });
    const first = (await api.call('GET', `/v1/jobs/${id}/events?limit=2`)).body;
    const path = `/v1/jobs/${id}/events?limit=500&cursor=${first.nextCursor}`;
    expect((await api.call('GET', path)).body.items).toEqual(items.slice(2));
  });

  test('stream live, resume after Last-Event-ID, and end with the job', async () => {
    const id = await endedJob();
    const stream = async (headers: Record<string, string>) => {
      const accept = { accept: 'text/event-stream', ...headers };
      const answer = await api.send('GET', `/v1/jobs/${id}/events`, undefined, accept);
      const text = await answer.text();
      return [...text.matchAll(/^id: (\d+)$/gm)].map(([, sequence]) => Number(sequence));
    };
    const all = await stream({});
    expect(all.length).toBeGreaterThan(3);
    expect(await stream({ 'last-event-id': '2' })).toEqual(all.slice(2));
  });
});

describe('targets', () => {
  test('are listed without address, credentials and paths', async () => {
    const secret = await openJobTest({ address: 'http://inner', credentials: { env: 'SECRET' } });
    const answer = await secret.call('GET', '/v1/targets');
    expect(answer.body.items).toEqual([
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

  test('are checked by name', async () => {
    expect((await api.call('GET', '/v1/targets/local/check')).body).toEqual({ findings: [] });
    expect((await api.call('GET', '/v1/targets/moon/check')).status).toBe(404);
  });
});
