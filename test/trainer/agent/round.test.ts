// Rounds of an agent on a made-up engine against the real service: whatever is lost, killed or
// away, an attempt is launched once, and what it left is cleared up.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ProblemError } from '../../../api/errors.ts';
import { type AgentTest, keyOf, openAgentTest, startAgent } from '../../support/agents.ts';
import { createFakeLauncher, type FakeLauncher } from '../../support/fake-launcher.ts';

let deployment: AgentTest;
let api: AgentTest;
let engine: FakeLauncher;
beforeAll(async () => {
  deployment = await openAgentTest();
});
beforeEach(() => {
  api = deployment.another();
  engine = createFakeLauncher();
});

const exited = (code: number) => ({ state: 'exited' as const, exit: { code, signal: null } });
const launches = () => [...engine.launches.keys()];
const start = (fields: object = {}) => startAgent(api, engine, { fields });

async function running() {
  const job = await api.launch();
  const agent = await start();
  await agent.round();
  const key = keyOf(job);
  const trainer = api.trainer(engine.launches.get(key)!.token);
  expect((await trainer('reports', { sequence: 0 })).status).toBe(200);
  return { id: job.id, key, agent, trainer };
}

async function finish(id: string, agent: Awaited<ReturnType<typeof start>>) {
  engine.observe(`cw-${id}-1`, exited(0));
  await agent.round();
  await agent.round();
}

test('launches what waits, tells how it is, and clears up after its end', async () => {
  const { id, key, agent, trainer } = await running();
  expect((await api.read(id)).state).toBe('running');
  await trainer('finish', { outcome: 'succeeded', summary: {} });
  engine.observe(key, exited(0));
  expect(await agent.round()).toMatchObject({ held: 1 });
  expect((await api.read(id)).state).toBe('succeeded');
  expect(engine.calls.cleanup).toBe(1);
  expect(await agent.round()).toMatchObject({ held: 0 });
  expect([engine.calls.submit, engine.calls.cleanup]).toEqual([1, 1]);
  expect(agent.said.map(({ event }) => event)).toEqual(['launched', 'running', 'exited', 'exited']);
});

test('tells the trainer where the images are here, and the address by which it got through', async () => {
  const job = await api.launch();
  const agent = await start();
  let asked: unknown;
  agent.launcher = {
    ...engine,
    submit: async (request, token) => {
      asked = request;
      return await engine.submit(request, token);
    },
  };
  await agent.round();
  expect(asked).toMatchObject({
    launchKey: keyOf(job),
    environment: { CW_API: 'http://service', CW_JOB: job.id, CW_DATA: '/srv/images' },
    resources: job.resources,
  });
});

describe('killed', () => {
  test('between submit and report, it adopts its launch when it is started again', async () => {
    const job = await api.launch();
    const first = await start();
    const { report } = first.service;
    first.service.report = async (id, body) => {
      if (body.handle !== undefined) throw new Error('killed');
      return await report(id, body);
    };
    await expect(first.round()).rejects.toThrow('killed');
    expect(launches()).toEqual([keyOf(job)]);
    const second = await start();
    await second.round();
    expect(launches()).toEqual([keyOf(job)]);
    expect(engine.calls.submit).toBe(1);
    expect((await api.read(job.id)).state).toBe('starting');
    const { token } = engine.launches.get(keyOf(job))!;
    expect((await api.trainer(token)('job')).status).toBe(200);
  });

  test('between token and submit, it launches once, after a minute', async () => {
    const job = await api.launch();
    const first = await start();
    engine.during.submit = async () => {
      throw new Error('killed'); // before the engine has anything
    };
    await first.round();
    engine.during = {};
    const second = await start();
    await second.round();
    expect(launches()).toEqual([]);
    api.moveClock(61_000);
    await second.round();
    expect(launches()).toEqual([keyOf(job)]);
    expect((await api.trainer(engine.launches.get(keyOf(job))!.token)('job')).status).toBe(200);
  });

  test('while a job runs, it goes on from what the service and the engine know', async () => {
    const { id, key, trainer } = await running();
    const second = await start();
    await second.round();
    await trainer('finish', { outcome: 'succeeded', summary: {} });
    engine.observe(key, exited(0));
    await second.round();
    expect((await api.read(id)).state).toBe('succeeded');
    expect([engine.calls.submit, engine.calls.cleanup]).toEqual([1, 1]);
  });
});

describe('the answer that is lost', () => {
  test('to a claim, and then to a token, launches nothing twice', async () => {
    const job = await api.launch();
    const agent = await start();
    agent.line = 'lost';
    await expect(agent.round()).rejects.toThrow('no service answers');
    agent.line = 'up';
    const { report } = agent.service;
    agent.service.report = async (id, body) => {
      agent.line = 'lost';
      return await report(id, body);
    };
    await expect(agent.round()).rejects.toThrow('no service answers');
    Object.assign(agent.service, { report });
    agent.line = 'up';
    await agent.round();
    expect(launches()).toEqual([]);
    api.moveClock(61_000);
    await agent.round();
    expect([launches(), engine.calls.submit]).toEqual([[keyOf(job)], 1]);
  });

  test('of the engine to a submit leaves a launch that the next round finds', async () => {
    const job = await api.launch();
    const agent = await start();
    engine.loseAnswer = true;
    await agent.round();
    engine.loseAnswer = false;
    expect((await api.read(job.id)).attempts[0].observation).toMatchObject({ state: 'unknown' });
    await agent.round();
    expect([engine.calls.submit, (await api.read(job.id)).state]).toEqual([1, 'starting']);
  });
});

describe('what this machine does not run', () => {
  test.each([
    ['a dataset without a folder', { dataPaths: { liver: '/srv/liver' } }, /no images of dataset/],
    ['a job without an image', { engine: 'docker', images: ['a:1'] }, /image \(none\)/],
  ])('is refused before a token is made: %s', async (_, fields, words) => {
    const job = await api.launch();
    const agent = await start(fields);
    await agent.round();
    const { state, reason } = await api.read(job.id);
    expect([state, reason]).toEqual([
      'failed',
      { code: 'config', detail: expect.stringMatching(words) },
    ]);
    expect(engine.calls.submit).toBe(0);
  });

  test('is refused in the engine’s words where the engine will not take it', async () => {
    const job = await api.launch();
    engine.trouble.submit = new ProblemError('unprocessable', 'no such partition: gpu9');
    await (await start()).round();
    expect((await api.read(job.id)).reason?.detail).toBe('no such partition: gpu9');
  });

  test('holds it back where its own limit is reached', async () => {
    const jobs = [await api.launch(), await api.launch()];
    const agent = await start({ limits: { jobsAtOnce: 1 } });
    await agent.round();
    await agent.round();
    expect(launches()).toEqual([keyOf(jobs[0])]);
    await finish(jobs[0].id, agent);
    expect(launches()).toEqual(jobs.map((job) => keyOf(job)));
  });
});

describe('a cancellation', () => {
  test('while it is queued launches nothing', async () => {
    const job = await api.launch();
    const agent = await start();
    engine.trouble.find = new Error('away');
    await agent.round();
    await api.call('POST', `/v1/jobs/${job.id}/cancel`);
    engine.trouble = {};
    await agent.round();
    expect([launches(), (await api.read(job.id)).state]).toEqual([[], 'cancelled']);
  });

  test('while it runs is passed on with the grace that is left, until it has ended', async () => {
    const { id, key, agent } = await running();
    await api.call('POST', `/v1/jobs/${id}/cancel`);
    await agent.round();
    api.moveClock(20_000);
    await agent.round();
    api.moveClock(20_000);
    await agent.round();
    expect(engine.launches.get(key)?.cancelled).toEqual([30, 10, 0]);
    engine.observe(key, exited(143));
    await agent.round();
    expect((await api.read(id)).state).toBe('cancelled');
    expect(engine.calls.cleanup).toBe(1);
  });

  test('of a launch that nobody reported is made good once the agent is back', async () => {
    const job = await api.launch();
    const first = await start();
    engine.loseAnswer = true;
    await first.round();
    engine.loseAnswer = false;
    await api.call('POST', `/v1/jobs/${job.id}/cancel`);
    api.moveClock(91_000);
    await api.tick();
    expect((await api.read(job.id)).state).toBe('cancelled');
    const second = await start();
    await second.round();
    expect(engine.launches.get(keyOf(job))?.cancelled).toEqual([30]);
    engine.observe(keyOf(job), exited(143));
    await second.round();
    expect(engine.calls.cleanup).toBe(1);
    expect(await second.round()).toMatchObject({ held: 0 });
  });
});

describe('an engine that is away', () => {
  test('changes no job, and says so once', async () => {
    const { id, agent } = await running();
    const detail = 'Target "cluster": its engine gave no answer (ECONNREFUSED).';
    engine.trouble.poll = new ProblemError('unavailable', detail);
    await agent.round();
    await agent.round();
    const job = await api.read(id);
    expect([job.state, job.attempts[0].observation]).toEqual([
      'running',
      expect.objectContaining({ state: 'unknown', detail }),
    ]);
    expect(agent.said.filter(({ event }) => event === 'unknown')).toHaveLength(1);
  });

  test('with an error that nobody foresaw tells the service nothing of its words', async () => {
    const job = await api.launch();
    const agent = await start();
    engine.trouble.submit = new Error('token cw_secret in a stack');
    await agent.round();
    expect(JSON.stringify(await api.read(job.id))).not.toContain('cw_secret');
    engine.trouble = {};
    api.moveClock(61_000);
    await agent.round();
  });
});

test('a quiet job costs one request a round', async () => {
  const { agent } = await running();
  await agent.round();
  let reports = 0;
  const { report } = agent.service;
  agent.service.report = async (...given) => {
    reports += 1;
    return await report(...given);
  };
  for (let k = 0; k < 5; k++) await agent.round();
  expect(reports).toBe(0);
});

test('the last round tells how jobs are and launches nothing', async () => {
  const { id, key, agent } = await running();
  const waiting = await api.launch();
  engine.observe(key, { state: 'running', detail: 'on node7' });
  api.moveClock(61_000);
  await agent.round({ last: true });
  expect((await api.read(id)).attempts[0].observation).toMatchObject({ detail: 'on node7' });
  expect(launches()).toEqual([key]);
  expect((await api.read(waiting.id)).attempts[0].agent).toBeNull();
});

test('words that no database holds do not keep an attempt from being told', async () => {
  const { id, key, agent } = await running();
  const output = `${'x'.repeat(20_000)}\0 last \ud800`;
  engine.observe(key, { ...exited(1), detail: 'a\0b', output });
  await agent.round();
  expect((await api.read(id)).state).toBe('failed');
  const log = await (await api.send('GET', `/v1/jobs/${id}/log`)).text();
  expect([log.length, log.endsWith('\ufffd last \ufffd')]).toEqual([16_384, true]);
});
