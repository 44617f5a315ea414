// Agents that claim at the same moment on a real Postgres, where requests really run side by side
// and the service works as a role that does not own its tables.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AgentTest, keyOf, openAgentTest } from '../../support/agents.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../../support/postgres.ts';

describe.skipIf(noPostgres())('agents at the same moment', () => {
  let postgres: TestPostgres;
  let deployment: AgentTest;
  beforeAll(async () => {
    postgres = await startPostgres();
    deployment = await openAgentTest(postgres.database);
  });
  afterAll(() => postgres?.stop());

  async function claimed(api: AgentTest, most?: number): Promise<string[]> {
    const names = ['one', 'two', 'three', 'four', 'five', 'six'];
    const agents = await Promise.all(names.map((name) => api.agent(name)));
    const work = await Promise.all(agents.map((agent) => agent.work({ most })));
    return work.flat().map(({ id }) => id);
  }

  async function jobs(api: AgentTest, count: number): Promise<string[]> {
    const keys: string[] = [];
    while (keys.length < count) keys.push(keyOf(await api.launch()));
    return keys;
  }

  test('get each attempt once', async () => {
    const api = deployment.another();
    const keys = await jobs(api, 12);
    expect((await claimed(api, 2)).toSorted()).toEqual(keys.toSorted());
  });

  test('do not fill a target beyond its limit, and take the oldest', async () => {
    const api = deployment.another({ limits: { jobsAtOnce: 3 } });
    const keys = await jobs(api, 8);
    expect((await claimed(api, 2)).toSorted()).toEqual(keys.slice(0, 3).toSorted());
  });

  test('who ask for the token of one attempt under one name get one', async () => {
    const api = deployment.another();
    const [key] = await jobs(api, 1);
    const twins = await Promise.all(Array.from({ length: 6 }, () => api.agent('one')));
    await Promise.all(twins.map((twin) => twin.work()));
    const tokens = await Promise.all(twins.map((twin) => twin.ask(key)));
    expect(tokens.filter((token) => token !== undefined)).toHaveLength(1);
  });

  test('of a silent one: a single other takes what it had claimed', async () => {
    const api = deployment.another();
    const keys = await jobs(api, 3);
    await (await api.agent('zero')).claim();
    api.moveClock(91_000);
    expect((await claimed(api)).toSorted()).toEqual(keys.toSorted());
  });
});
