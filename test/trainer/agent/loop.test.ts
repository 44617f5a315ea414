// The loop around the rounds: pace, waiting for a service that is away, what ends it.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LoopOptions } from '../../../trainer/agent/loop.ts';
import { runAgent } from '../../../trainer/agent/loop.ts';
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

type Agent = Awaited<ReturnType<typeof startAgent>>;

/** Runs an agent through its pauses: one act a pause, and the signal after the last. */
async function through(
  agent: Agent,
  acts: (() => unknown)[],
  given: Partial<LoopOptions> = {},
): Promise<number[]> {
  const stop = new AbortController();
  const pauses: number[] = [];
  let now = 0;
  await runAgent(agent, {
    once: false,
    signal: stop.signal,
    now: () => now,
    random: () => 1,
    sleep: async (milliseconds) => {
      now += milliseconds;
      await acts[pauses.push(milliseconds) - 1]?.();
      if (pauses.length >= acts.length) stop.abort();
    },
    ...given,
  });
  return pauses;
}

const nothing = () => {};
const words = (agent: Agent) => agent.said.map(({ event }) => event);

test('asks at the pace of its engine, and never slower than a third of the lease', async () => {
  const agent = await startAgent(api, engine);
  engine.pollSeconds = 7;
  expect(await through(agent, [nothing, nothing])).toEqual([7_000, 7_000]);
  engine.pollSeconds = 240;
  expect(await through(agent, [nothing])).toEqual([30_000]);
  const own = await startAgent(api, engine, { fields: { pollSeconds: 2 } });
  expect(await through(own, [nothing])).toEqual([2_000]);
});

test('says what its own launcher finds, at the start and every five minutes', async () => {
  const agent = await startAgent(api, engine);
  let checks = 0;
  engine.check = async () => {
    checks += 1;
    return [{ severity: 'warning', detail: `partition gpu is full (${checks})` }];
  };
  engine.pollSeconds = 30;
  await through(agent, Array(11).fill(nothing));
  expect(checks).toBe(2);
  const { body } = await api.call('GET', `/v1/targets/${api.target}/check`);
  expect(body.findings).toEqual([
    { severity: 'ok', detail: expect.stringContaining('agent one (version 1) was last heard at') },
    { severity: 'warning', detail: 'agent one: partition gpu is full (2)' },
  ]);
});

describe('a service that is away', () => {
  test('is waited for longer and longer, and the running job is left alone', async () => {
    const job = await api.launch();
    const agent = await startAgent(api, engine);
    const away = () => {
      agent.line = 'away';
    };
    const back = () => {
      agent.line = 'up';
    };
    const pauses = await through(agent, [away, ...Array(6).fill(nothing), back, nothing]);
    expect(pauses.map((pause) => pause / 1000)).toEqual([1, 1, 2, 4, 8, 16, 30, 30, 1]);
    const { poll, submit, cancel } = engine.calls;
    expect([submit, cancel]).toEqual([1, 0]);
    expect(poll).toBe(3); // the first round, the one after the outage, the last
    expect(engine.launches.get(keyOf(job))?.cancelled).toEqual([]);
    expect(words(agent)).toEqual([
      'launched',
      'running',
      'waiting for the service; jobs run on',
      'the service answers again',
    ]);
    expect((await api.read(job.id)).state).toBe('starting');
  });

  test('spreads the agents that wait for it', async () => {
    const agent = await startAgent(api, engine);
    agent.line = 'away';
    const pauses = await through(agent, [nothing, nothing, nothing], { random: () => 0 });
    expect(pauses).toEqual([500, 1_000, 2_000]);
  });

  test('ends a single round with a failure', async () => {
    const agent = await startAgent(api, engine);
    agent.line = 'away';
    await expect(through(agent, [], { once: true })).rejects.toThrow('no service answers');
  });
});

test('a token that is revoked ends it, and nothing of its jobs', async () => {
  const job = await api.launch();
  const agent = await startAgent(api, engine);
  const { items } = (await api.call('GET', '/v1/tokens?limit=500')).body;
  const revoke = () => api.call('DELETE', `/v1/tokens/${items.at(-1).id}`);
  await expect(through(agent, [revoke, nothing])).rejects.toMatchObject({ exitCode: 3 });
  expect(engine.launches.get(keyOf(job))?.cancelled).toEqual([]);
});

test('a signal lets it say once more how jobs are; they go on', async () => {
  const first = await api.launch();
  const agent = await startAgent(api, engine);
  let second = first;
  await through(agent, [
    async () => {
      second = await api.launch();
      engine.observe(keyOf(first), { state: 'exited', exit: { code: 3, signal: null } });
    },
  ]);
  expect((await api.read(first.id)).state).toBe('failed');
  expect((await api.read(second.id)).attempts[0].agent).toBeNull();
  expect([...engine.launches.keys()]).toEqual([keyOf(first)]);
});

test('one round is one round', async () => {
  const job = await api.launch();
  const agent = await startAgent(api, engine);
  expect(await through(agent, [], { once: true })).toEqual([]);
  expect([...engine.launches.keys()]).toEqual([keyOf(job)]);
});
