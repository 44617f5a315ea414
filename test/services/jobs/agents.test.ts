// Attempts on a target of agents: who gets them, when a token is made, what an agent's word and its
// silence mean, and that nothing is launched twice or lost with an answer.

import { beforeAll, describe, expect, test } from 'vitest';
import { type AgentTest, keyOf, openAgentTest, type TestAgent } from '../../support/agents.ts';

let api: AgentTest;
let agent: TestAgent;
beforeAll(async () => {
  api = await openAgentTest();
  agent = await api.agent('one');
});

const exited = (code: number) => ({ state: 'exited', exit: { code, signal: null } });
const silence = 91_000;
const ended = { outcome: 'succeeded', summary: {} };

const attemptOf = async ({ id }: { id: string }) => (await api.read(id)).attempts[0];

describe('a job', () => {
  test('waits, is claimed, launched, trained and ends as on any engine', async () => {
    const job = await api.launch();
    expect(job).toMatchObject({ state: 'created', attempts: [{ agent: null }] });
    await api.tick();
    const work = (await agent.work()).find(({ id }) => id === keyOf(job));
    expect(work).toEqual({
      id: keyOf(job),
      launchKey: keyOf(job),
      job: job.id,
      attempt: 1,
      image: null,
      trainer: 'counterweight',
      api: 'http://127.0.0.1:8787',
      dataset: 'phantom',
      resources: job.resources,
      handle: null,
      stop: null,
      ended: false,
    });
    expect(await api.events(job.id, 'claimed')).toEqual([{ attempt: 1, agent: 'one' }]);
    const token = await agent.launch(keyOf(job));
    expect(await api.read(job.id)).toMatchObject({
      state: 'starting',
      attempts: [{ agent: 'one', observation: { state: 'running' } }],
    });
    const trainer = api.trainer(token);
    await trainer('reports', { sequence: 0 });
    await trainer('finish', ended);
    const told = await agent.tell(keyOf(job), { observation: exited(0) });
    expect(told.body).toMatchObject({ ended: true, cleanUp: true, launch: null });
    expect((await api.read(job.id)).state).toBe('succeeded');
    const states = await api.events(job.id, 'state');
    expect(states.map(({ state }) => state)).toEqual([
      'queued',
      'starting',
      'running',
      'succeeded',
    ]);
  });

  test('says what it waits for where no agent is heard, and again where the last one fell silent', async () => {
    const own = api.another();
    const job = await own.launch();
    await own.tick();
    await own.tick();
    const observation = async () => (await own.read(job.id)).attempts[0].observation;
    expect(await observation()).toMatchObject({
      state: 'unknown',
      detail: `no agent of target "${own.target}" was ever heard; on a machine beside its engine run: counterweight agent --target ${own.target}`,
    });
    expect(await own.events(job.id, 'engine')).toHaveLength(1);
    const heard = own.deps.now().toISOString();
    await (await own.agent('one')).claim({ most: 0 });
    await own.tick();
    own.moveClock(silence);
    await own.tick();
    expect((await observation())?.detail).toContain(`was heard since ${heard}`);
  });

  test('of which nobody took notice ends after queueTimeoutSeconds', async () => {
    const own = api.another();
    const job = await own.launch({ resources: { queueTimeoutSeconds: 60 } });
    own.moveClock(61_000);
    await own.tick();
    expect((await own.read(job.id)).state).toBe('timedOut');
    expect(await (await own.agent('one')).work()).toEqual([]);
  });
});

describe('two agents', () => {
  test('at once never get the same attempt, and together each', async () => {
    const own = api.another();
    const jobs = await Promise.all(Array.from({ length: 6 }, () => own.launch()));
    const agents = [await own.agent('one'), await own.agent('two'), await own.agent('three')];
    const taken = await Promise.all(agents.map((one) => one.work({ most: 2 })));
    expect(taken.map((work) => work.length)).toEqual([2, 2, 2]);
    expect(taken.flatMap((work) => work.map(({ id }) => id)).toSorted()).toEqual(
      jobs.map((job) => keyOf(job)).toSorted(),
    );
  });

  test('do not fill a target beyond its limit, and the oldest goes first', async () => {
    const own = api.another({ limits: { jobsAtOnce: 2 } });
    const jobs = [await own.launch(), await own.launch(), await own.launch()];
    const [one, two] = [await own.agent('one'), await own.agent('two')];
    const [first, second] = await Promise.all([one.work(), two.work()]);
    expect([...first, ...second].map(({ id }) => id)).toEqual(
      jobs.slice(0, 2).map((job) => keyOf(job)),
    );
    const holder = first.length > 0 ? one : two;
    await holder.tell(keyOf(jobs[0]), { refused: 'no such image' });
    expect((await two.work()).map(({ id }) => id)).toContain(keyOf(jobs[2]));
  });

  test('of a silent one the other takes what was never launched, and its token is worth nothing', async () => {
    const own = api.another({ limits: { jobsAtOnce: 1 } });
    const job = await own.launch();
    const [one, two] = [await own.agent('one'), await own.agent('two')];
    await one.claim();
    const stale = (await one.ask(keyOf(job))) as string;
    own.moveClock(silence - 2_000);
    expect(await two.work()).toEqual([]);
    own.moveClock(3_000);
    expect((await two.work()).map(({ id }) => id)).toEqual([keyOf(job)]);
    const taken = await own.events(job.id, 'claimed');
    expect(taken.at(-1)).toEqual({ attempt: 1, agent: 'two', from: 'one' });
    const refused = await one.tell(keyOf(job), { handle: { launchKey: keyOf(job) } });
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      `${keyOf(job)} is held by agent "two", not by "one": leave it alone.`,
    ]);
    const token = await two.launch(keyOf(job));
    expect((await own.trainer(stale)('job')).status).toBe(401);
    expect((await own.trainer(token)('job')).status).toBe(200);
  });

  test('of a silent one the other takes nothing that runs', async () => {
    const own = api.another();
    const jobs = [await own.launch(), await own.launch()];
    const [one, two] = [await own.agent('one'), await own.agent('two')];
    await one.claim();
    await one.launch(keyOf(jobs[0]));
    const token = (await one.ask(keyOf(jobs[1]))) as string; // launched, and its handle never told
    await own.trainer(token)('reports', { sequence: 0 });
    own.moveClock(silence);
    expect(await two.work()).toEqual([]);
    expect((await one.work()).map(({ id }) => id)).toEqual(jobs.map((job) => keyOf(job)));
  });
});

describe('an answer that is lost', () => {
  test('of a claim costs nothing: the next one gives the same', async () => {
    const job = await api.launch();
    const first = await agent.work();
    expect(first.map(({ id }) => id)).toContain(keyOf(job));
    expect(await agent.work()).toEqual(first);
    expect(await api.events(job.id, 'claimed')).toHaveLength(1);
  });

  test('with a token: no second one while the first may launch, then a new one alone holds', async () => {
    const job = await api.launch();
    await agent.claim();
    const lost = (await agent.ask(keyOf(job))) as string;
    expect(await agent.ask(keyOf(job))).toBeUndefined();
    api.moveClock(61_000);
    const token = (await agent.ask(keyOf(job))) as string;
    expect(token).toMatch(/^cw_/);
    expect((await api.trainer(lost)('job')).status).toBe(401);
    expect((await api.trainer(token)('job')).status).toBe(200);
  });

  test('to a handle: told again it changes nothing, and no token is made any more', async () => {
    const job = await api.launch();
    await agent.claim();
    await agent.launch(keyOf(job));
    const again = { handle: { launchKey: keyOf(job), id: 7 }, observation: { state: 'running' } };
    expect((await agent.tell(keyOf(job), again)).status).toBe(200);
    const held = (await agent.work()).find(({ id }) => id === keyOf(job));
    expect(held?.handle).toEqual({ launchKey: keyOf(job) });
    api.moveClock(61_000);
    expect(await agent.ask(keyOf(job))).toBeUndefined();
  });
});

test('a launch whose agent crashed before it told is adopted with the token that it has', async () => {
  const job = await api.launch();
  await agent.claim();
  const token = (await agent.ask(keyOf(job))) as string;
  const trainer = api.trainer(token);
  await trainer('reports', { sequence: 0 });
  const found = { handle: { launchKey: keyOf(job) }, observation: { state: 'running' } };
  expect((await agent.tell(keyOf(job), found)).body.launch).toBeNull();
  expect((await trainer('reports', { sequence: 1 })).status).toBe(200);
  expect((await api.read(job.id)).state).toBe('running');
});

test('a launch that its engine forgot after its trainer spoke is not launched again', async () => {
  const job = await api.launch();
  await agent.claim();
  const trainer = api.trainer((await agent.ask(keyOf(job))) as string);
  await trainer('finish', ended);
  api.moveClock(61_000);
  expect(await agent.ask(keyOf(job))).toBeUndefined();
  expect((await api.read(job.id)).state).toBe('succeeded');
});

describe('what an agent’s engine will not take', () => {
  test('ends the attempt with its words, and is not tried again', async () => {
    const job = await api.launch();
    await agent.claim();
    const { body } = await agent.tell(keyOf(job), { refused: 'no such partition: gpu9' });
    expect(body).toEqual({ launch: null, stop: { graceSeconds: 30 }, ended: true, cleanUp: false });
    const { state, reason, attempts } = await api.read(job.id);
    expect([state, reason, attempts.length]).toEqual([
      'failed',
      { code: 'config', detail: 'no such partition: gpu9' },
      1,
    ]);
  });

  test('now is a doubt that the job shows, and it waits', async () => {
    const job = await api.launch();
    await agent.claim();
    const observation = { state: 'unknown', detail: 'slurmctld does not answer' };
    await agent.tell(keyOf(job), { observation });
    expect((await attemptOf(job)).observation).toMatchObject(observation);
    await agent.launch(keyOf(job));
    expect((await attemptOf(job)).state).toBe('starting');
  });
});

test('a launch that was lost on the way gets another token, also where GPU hours are limited', async () => {
  const limits = { gpuHoursPerDay: 8 };
  const limited = api.another({ gpuTypes: ['a100'], limits });
  const own = await limited.agent('limited');
  const job = await limited.launch({ resources: { gpus: { count: 1 } } });
  await own.work();
  const first = await own.ask(keyOf(job));
  api.moveClock(61_000);
  const second = await own.ask(keyOf(job));
  expect([typeof first, typeof second]).toEqual(['string', 'string']);
  expect(second).not.toBe(first);
});
