// How attempts that agents hold end: cancelled, late, with an agent that fell silent; and what
// comes after.

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

async function running(body: object = {}) {
  const job = await api.launch(body);
  const key = keyOf(job);
  await agent.claim();
  const token = await agent.launch(key);
  const trainer = api.trainer(token);
  expect((await trainer('reports', { sequence: 0 })).status).toBe(200);
  return { ...job, key, trainer };
}

describe('cancelling', () => {
  const cancel = (id: string) => api.call('POST', `/v1/jobs/${id}/cancel`);

  test('before a token was made ends the job at once; the agent gets none', async () => {
    const claimed = await api.launch();
    await agent.claim();
    const waits = await api.launch();
    for (const { id } of [waits, claimed]) {
      expect((await cancel(id)).body.state).toBe('cancelled');
    }
    expect(await agent.ask(keyOf(claimed))).toBeUndefined();
    const held = (await agent.work()).map(({ id }) => id);
    expect(held).not.toContain(keyOf(claimed));
  });

  test('between token and launch waits for what the agent finds', async () => {
    const job = await api.launch();
    await agent.claim();
    await agent.ask(keyOf(job));
    expect((await cancel(job.id)).body.state).toBe('cancelling');
    await api.tick();
    expect((await api.read(job.id)).state).toBe('cancelling');
    expect(await agent.ask(keyOf(job))).toBeUndefined();
    expect((await api.read(job.id)).state).toBe('cancelled');
  });

  test('between token and launch of an agent that is gone ends when it is silent', async () => {
    const own = api.another();
    const job = await own.launch();
    const one = await own.agent('one');
    await one.claim();
    await one.ask(keyOf(job));
    await own.call('POST', `/v1/jobs/${job.id}/cancel`);
    own.moveClock(silence);
    await own.tick();
    expect((await own.read(job.id)).state).toBe('cancelled');
    // It comes back and may have launched: it is told to look.
    expect(await one.work()).toMatchObject([{ id: keyOf(job), ended: true, handle: null }]);
  });

  test('while it runs is heard with the next answer; the grace counts once the engine was told', async () => {
    const { id, key } = await running();
    await cancel(id);
    api.moveClock(40_000);
    const stop = async () => (await agent.work()).find((one) => one.id === key)?.stop;
    expect(await stop()).toEqual({ graceSeconds: 30 });
    const told = { observation: { state: 'running' }, stopTold: true };
    expect((await agent.tell(key, told)).body.stop).toEqual({ graceSeconds: 30 });
    api.moveClock(20_000);
    expect(await stop()).toEqual({ graceSeconds: 10 });
    api.moveClock(20_000);
    expect(await stop()).toEqual({ graceSeconds: 0 });
    await agent.tell(key, { observation: exited(143) });
    expect((await api.read(id)).state).toBe('cancelled');
  });
});

describe('an agent that falls silent', () => {
  test('leaves its jobs as they are, saying when it was heard last', async () => {
    const { id, trainer } = await running();
    const heard = api.deps.now().toISOString();
    api.moveClock(silence);
    await api.tick();
    const { state, attempts } = await api.read(id);
    expect(state).toBe('running');
    expect(attempts[0].observation).toMatchObject({
      state: 'unknown',
      detail: `agent one was last heard at ${heard}`,
    });
    await trainer('finish', ended);
    api.moveClock(61_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('succeeded');
  });

  test('does not keep timeoutSeconds from ending a job, and stops it when it is back', async () => {
    const { id, key, trainer } = await running({ resources: { timeoutSeconds: 120 } });
    api.moveClock(121_000);
    await api.tick();
    expect((await api.read(id)).state).toBe('timedOut');
    expect((await trainer('reports', { sequence: 1 })).status).toBe(409);
    const held = (await agent.work()).find((one) => one.id === key);
    expect(held).toMatchObject({ ended: true, stop: { graceSeconds: 30 } });
    const { body } = await agent.tell(key, { observation: exited(143), cleaned: true });
    expect(body).toMatchObject({ ended: true, cleanUp: false });
    expect((await agent.work()).map((one) => one.id)).not.toContain(key);
  });
});

describe('the next attempt', () => {
  test('after a failure of the infrastructure waits its pause out, for any agent', async () => {
    const { id, key } = await running();
    const observation = { state: 'failed', reason: 'infrastructure', detail: 'node7 went down' };
    await agent.tell(key, { observation });
    expect((await api.read(id)).state).toBe('created');
    const next = `cw-${id}-2`;
    expect((await agent.work()).map((one) => one.id)).not.toContain(next);
    api.moveClock(11_000);
    expect((await agent.work()).map((one) => one.id)).toContain(next);
    await agent.launch(next);
    expect((await api.read(id)).attempts.map(({ state }) => state)).toEqual(['failed', 'starting']);
  });

  test('of a person waits until the agent says that the one before has stopped', async () => {
    const { id, key, trainer } = await running({ resources: { timeoutSeconds: 60 } });
    api.moveClock(61_000);
    await api.tick();
    const retry = () => api.call('POST', `/v1/jobs/${id}/retry`, { reason: 'again' });
    const early = await retry();
    expect([early.status, early.body.detail]).toEqual([
      409,
      expect.stringMatching(/may still run.*agent one, last heard at/),
    ]);
    await agent.tell(key, { observation: exited(143) });
    expect((await retry()).status).toBe(200);
    // The zombie of the first attempt can write nothing.
    expect((await trainer('reports', { sequence: 5 })).status).toBe(409);
    expect((await agent.work()).map((one) => one.id)).toContain(`cw-${id}-2`);
  });

  test('is lost and followed where the engine forgot a launch and its trainer is silent', async () => {
    const { id, key } = await running();
    await agent.tell(key, { observation: { state: 'notFound' } });
    for (let minute = 0; minute < 6; minute++) {
      await api.tick();
      api.moveClock(60_000);
      await agent.claim();
    }
    await api.tick();
    const { attempts } = await api.read(id);
    expect(attempts.map(({ state }) => state)).toEqual(['lost', 'created']);
  });
});
