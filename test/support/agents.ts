// A target on which agents launch, and agents as the service sees them.

import type { AgentAnswer, AgentWork } from '../../api/contract/agents.ts';
import type { Job } from '../../api/contract/jobs.ts';
import { type LaunchTarget, launchTargetsSchema } from '../../api/contract/targets.ts';
import { createAgentLauncher } from '../../api/launchers/agent.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import type { Database } from '../../api/store/database.ts';
import { type Agent, type AgentEvent, playRound } from '../../trainer/agent/round.ts';
import { createClient } from '../../trainer/client.ts';
import { serviceOf } from '../../trainer/commands/agent.ts';
import { openTestApp, type Sending, type TestApp } from './app.ts';
import { frozenSnapshot, must } from './builders.ts';
import type { FakeLauncher } from './fake-launcher.ts';
import { jobSeed, jobSettings } from './jobs.ts';

type Answer<Body = any> = { status: number; body: Body };

export type TestAgent = Sending & {
  token: string;
  claim: (body?: object) => Promise<Answer>;
  /** What it holds, by a claim that must succeed. */
  work: (body?: object) => Promise<AgentWork[]>;
  tell: (launchKey: string, body: object) => Promise<Answer>;
  /** Says that there is no such launch; the token that it is given. */
  ask: (launchKey: string) => Promise<string | undefined>;
  /** Takes the way to a running launch; its token. */
  launch: (launchKey: string) => Promise<string>;
};

export type AgentTest = TestApp & {
  target: string;
  /** Another target of the same deployment, which no other agent and no other job is on. */
  another: (fields?: Partial<LaunchTarget>) => AgentTest;
  launch: (body?: object) => Promise<Job>;
  read: (id: string) => Promise<Job>;
  tick: () => Promise<void>;
  events: (id: string, kind: string) => Promise<Record<string, unknown>[]>;
  agent: (name: string, actor?: string) => Promise<TestAgent>;
  trainer: (token: string) => (path: string, body?: object) => Promise<Answer>;
};

export const keyOf = ({ id }: { id: string }, attempt = 1) => `cw-${id}-${attempt}`;

/** The app with a target on which agents launch, a dataset and its snapshot. */
export async function openAgentTest(database?: Database): Promise<AgentTest> {
  const local = { name: 'local', engine: 'local', dataPaths: { phantom: '/images' } };
  const targets = launchTargetsSchema.parse([local, { name: 'cluster', engine: 'agent' }]);
  const api = await openTestApp({
    launcher: createAgentLauncher(targets[1]),
    targets,
    database,
  });
  const { snapshot } = await frozenSnapshot(api);
  return onTarget(api, snapshot.digest, 'cluster');
}

function onTarget(api: TestApp, snapshot: string, target: string): AgentTest {
  const asked = { snapshot, target, seed: jobSeed, settings: jobSettings, reason: 'test' };
  return {
    ...api,
    target,
    another: (fields = {}) => {
      const name = `cluster-${api.deps.targets.length}`;
      api.deps.targets.push(...launchTargetsSchema.parse([{ name, engine: 'agent', ...fields }]));
      return onTarget(api, snapshot, name);
    },
    launch: (body = {}) => must(api, 202, 'POST', '/v1/jobs', { ...asked, ...body }),
    read: (id) => must(api, 200, 'GET', `/v1/jobs/${id}`),
    tick: () => reconcileJobs(api.deps),
    events: async (id, kind) => {
      const { items } = await must(api, 200, 'GET', `/v1/jobs/${id}/events?limit=500`);
      const of = items.filter((event: { kind: string }) => event.kind === kind);
      return of.map((event: { detail: object }) => event.detail);
    },
    agent: async (name, actor = 'cluster-agents') =>
      agentOf(await api.as(actor, 'agent'), target, name),
    trainer: (token) => async (path, body) => {
      const headers = { authorization: `Bearer ${token}` };
      const method = body === undefined ? 'GET' : 'POST';
      return await api.call(method, `/v1/trainer/${path}`, body, headers);
    },
  };
}

function agentOf(sending: Sending & { token: string }, target: string, agent: string): TestAgent {
  const claim = (body: object = {}) =>
    sending.call('POST', `/v1/agents/${target}/claim`, { agent, version: '1', ...body });
  const tell = (launchKey: string, body: object) =>
    sending.call('POST', `/v1/agents/attempts/${launchKey}/state`, { agent, ...body });
  const told = async (launchKey: string, body: object): Promise<AgentAnswer> => {
    const answer = await tell(launchKey, body);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer));
    return answer.body;
  };
  const ask = async (launchKey: string) =>
    (await told(launchKey, { observation: { state: 'notFound' } })).launch?.token;
  return {
    ...sending,
    claim,
    work: async (body) => {
      const answer = await claim(body);
      if (answer.status !== 200) throw new Error(JSON.stringify(answer));
      return answer.body.attempts;
    },
    tell,
    ask,
    launch: async (launchKey) => {
      const token = await ask(launchKey);
      await told(launchKey, { handle: { launchKey }, observation: { state: 'running' } });
      return token as string;
    },
  };
}

export type AgentProcess = Agent & {
  /** Everything that it said. */
  said: AgentEvent[];
  /** While set, no request gets through; `lost`: the service acts, and its answer is lost. */
  line: 'up' | 'away' | 'lost';
  round: (options?: { last?: boolean }) => Promise<{ held: number }>;
};

/** An agent as the command runs it, on a made-up engine; made again, it was restarted. */
export async function startAgent(
  api: AgentTest,
  launcher: FakeLauncher,
  { fields = {}, actor = 'cluster-agents' }: { fields?: object; actor?: string } = {},
): Promise<AgentProcess> {
  const { token } = await api.as(actor, 'agent');
  const engine = { name: api.target, engine: 'local', dataPaths: { phantom: '/srv/images' } };
  const [target] = launchTargetsSchema.parse([{ ...engine, ...fields }]);
  const request = (async (url: string, init: RequestInit) => {
    if (agent.line === 'away') throw new TypeError('fetch failed');
    const answer = await api.app.request(new URL(url).pathname, init);
    if (agent.line === 'lost') throw new TypeError('terminated');
    return answer;
  }) as typeof fetch;
  const sleep = async () => {};
  const client = createClient({ api: 'http://service', token, fetch: request, sleep });
  const said: AgentEvent[] = [];
  const agent: AgentProcess = {
    target,
    launcher,
    name: 'one',
    version: '1',
    service: serviceOf(client, api.target),
    tell: (event) => said.push(event),
    told: new Map(),
    said,
    line: 'up',
    round: (options = {}) => playRound(agent, options),
  };
  return agent;
}
