// Agents over HTTP: who may ask for what, and what is refused before anything changes.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { newSecret, sha256Text } from '../../api/ids.ts';
import { type AgentTest, keyOf, openAgentTest, type TestAgent } from '../support/agents.ts';
import { must } from '../support/builders.ts';

let api: AgentTest;
let agent: TestAgent;
beforeAll(async () => {
  api = await openAgentTest();
  agent = await api.agent('one');
});

const claimPath = '/v1/agents/cluster/claim';
const statePath = (key: string) => `/v1/agents/attempts/${key}/state`;
const claim = { agent: 'one', version: '1' };
const notFound = { agent: 'one', observation: { state: 'notFound' } };

/** A token of a workspace that the tests are not in. */
async function stranger(role: string) {
  const secret = newSecret(api.deps.randomBytes);
  const digest = await sha256Text(secret);
  const { orm } = api.database;
  await orm.execute(sql`insert into workspaces values ('other', 'other', now())
    on conflict do nothing`);
  await orm.execute(sql`insert into tokens (id, workspace_id, name, actor, role, secret_digest, created_at)
    values (${secret}, 'other', 'x', 'cluster-agents', ${role}, ${digest}, now())`);
  return { authorization: `Bearer ${secret}` };
}

describe('the role of an agent', () => {
  test('claims and reports, and neither reads nor changes anything else', async () => {
    expect((await agent.claim()).status).toBe(200);
    for (const [method, path] of [
      ['GET', '/v1/datasets'],
      ['GET', '/v1/jobs'],
      ['GET', '/v1/targets'],
      ['GET', `/v1/targets/cluster/check`],
      ['GET', '/v1/audit'],
      ['POST', '/v1/jobs'],
    ]) {
      const answer = await agent.call(method, path, method === 'GET' ? undefined : {});
      expect([path, answer.status]).toEqual([path, 403]);
    }
  });

  test.each(['reader', 'editor', 'launcher', 'approver'] as const)(
    'is needed: a %s may not claim or report',
    async (role) => {
      const someone = await api.as(`some-${role}`, role);
      expect((await someone.call('POST', claimPath, claim)).status).toBe(403);
      expect((await someone.call('POST', statePath('x'), notFound)).status).toBe(403);
    },
  );

  test('is not had by a token of an attempt', async () => {
    const own = api.another();
    const job = await own.launch();
    const one = await own.agent('one');
    await one.claim();
    const token = await one.launch(keyOf(job));
    const headers = { authorization: `Bearer ${token}` };
    expect((await api.call('POST', claimPath, claim, headers)).status).toBe(401);
  });
});

describe('a workspace', () => {
  test('has its own agents and its own attempts only', async () => {
    const own = api.another();
    const job = await own.launch();
    const headers = await stranger('agent');
    const path = `/v1/agents/${own.target}/claim`;
    const claimed = await api.call('POST', path, { agent: 'thief', version: '1' }, headers);
    expect([claimed.status, claimed.body.attempts]).toEqual([200, []]);
    const one = await own.agent('one');
    expect(await one.work()).toHaveLength(1);
    const told = await api.call('POST', statePath(keyOf(job)), notFound, headers);
    expect([told.status, told.body.detail]).toEqual([
      404,
      `There is no attempt "${keyOf(job)}" in this workspace.`,
    ]);
    const { body } = await api.call('GET', `/v1/targets/${own.target}/check`);
    expect(JSON.stringify(body)).not.toContain('thief');
  });
});

describe('refused with what to do', () => {
  test('a target that is not there, and one that is not for agents', async () => {
    const gone = await agent.call('POST', '/v1/agents/moon/claim', claim);
    expect([gone.status, gone.body.detail]).toEqual([404, expect.stringContaining('"moon"')]);
    const local = await agent.call('POST', '/v1/agents/local/claim', claim);
    expect([local.status, local.body.detail]).toEqual([
      409,
      expect.stringMatching(/the service launches there itself.*engine "agent" in CW_TARGETS/),
    ]);
  });

  test('a name that belongs to another actor, for claims and for reports', async () => {
    const job = await api.launch();
    await agent.claim();
    const other = await api.agent('one', 'somebody-else');
    for (const answer of [await other.claim(), await other.tell(keyOf(job), {})]) {
      expect([answer.status, answer.body.detail]).toEqual([
        409,
        'Agent "one" of target "cluster" belongs to "cluster-agents", and this token is of "somebody-else". Start this agent with another --name.',
      ]);
    }
  });

  test('an attempt that the agent does not hold', async () => {
    const own = api.another();
    const job = await own.launch();
    const [one, two] = [await own.agent('one'), await own.agent('two')];
    const early = await one.tell(keyOf(job), notFound);
    expect([early.status, early.body.detail]).toEqual([
      409,
      `${keyOf(job)} is not claimed: claim it with POST /v1/agents/${own.target}/claim first.`,
    ]);
    await two.claim();
    expect((await one.tell(keyOf(job), notFound)).status).toBe(409);
    expect((await one.tell('cw-nothing-1', notFound)).status).toBe(404);
  });

  test('clearing up after an attempt that has not ended', async () => {
    const job = await api.launch();
    await agent.claim();
    await agent.launch(keyOf(job));
    const answer = await agent.tell(keyOf(job), { cleaned: true });
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      `${keyOf(job)} has not ended; leave it on the engine.`,
    ]);
  });

  test.each([
    ['a claim without a name', { version: '1' }, '/agent'],
    ['a claim without a version', { agent: 'one' }, '/version'],
    ['a name that cannot be shown', { ...claim, agent: 'a b' }, '/agent'],
    ['less than nothing', { ...claim, most: -1 }, '/most'],
    ['a key that nobody reads', { ...claim, lease: 5 }, ''],
    ['findings without words', { ...claim, findings: [{ severity: 'ok' }] }, '/findings/0/detail'],
  ])('%s', async (_, body, pointer) => {
    const answer = await agent.call('POST', claimPath, body);
    expect([answer.status, answer.body.errors?.[0].pointer]).toEqual([422, pointer]);
  });

  test.each([
    ['a state that no engine has', { observation: { state: 'lost' } }, '/observation/state'],
    ['an end without a handle', { observation: { state: 'exited' } }, '/handle'],
    ['the handle of another', { handle: { launchKey: 'cw-x-1' } }, '/handle/launchKey'],
    ['a handle of any size', { handle: { launchKey: '?', x: 'y'.repeat(4_000) } }, '/handle'],
    ['no reason for a refusal', { refused: '' }, '/refused'],
  ])('%s, and the attempt stays as it is', async (_, body: Record<string, any>, pointer) => {
    const own = api.another();
    const job = await own.launch();
    const one = await own.agent('one');
    await one.claim();
    const before = await own.read(job.id);
    const answer = await one.tell(keyOf(job), body);
    expect([answer.status, answer.body.errors?.[0].pointer]).toEqual([422, pointer]);
    expect(await own.read(job.id)).toEqual(before);
  });
});

describe('launching on a target of agents', () => {
  const body = (own: AgentTest, more: object = {}) => ({
    target: own.target,
    seed: 7,
    settings: { epochs: 2, drawsPerEpoch: 8, batchSize: 2 },
    reason: 'test',
    ...more,
  });
  const snapshotOf = async () =>
    (await must(api, 200, 'GET', '/v1/jobs?limit=1')).items[0].snapshot;

  test('answers 202; a dry run shows what an agent will be told, and no token', async () => {
    const job = await api.launch();
    const { digest } = await snapshotOf();
    const answer = await api.call(
      'POST',
      '/v1/jobs',
      body(api, { snapshot: digest, dryRun: true }),
    );
    expect(answer.status).toBe(200);
    expect(answer.body.request).toEqual({
      launchKey: expect.stringMatching(/^cw-.*-1$/),
      job: expect.any(String),
      image: null,
      trainer: 'counterweight',
      api: 'http://127.0.0.1:8787',
      dataset: 'phantom',
      resources: job.resources,
    });
  });

  test('takes the images that the target names, and needs one where it names any', async () => {
    const own = api.another({ images: ['trainer:1'] });
    const { digest: snapshot } = await snapshotOf();
    const status = async (image?: string) =>
      (await api.call('POST', '/v1/jobs', body(own, { snapshot, image }))).status;
    expect([await status('trainer:1'), await status(), await status('other:1')]).toEqual([
      202, 422, 422,
    ]);
  });

  test('takes any dataset, or those that the target names', async () => {
    const { digest: snapshot } = await snapshotOf();
    const status = async (own: AgentTest) =>
      (await api.call('POST', '/v1/jobs', body(own, { snapshot }))).status;
    expect(await status(api.another())).toBe(202);
    expect(await status(api.another({ dataPaths: { liver: '-' } }))).toBe(422);
    expect(await status(api.another({ dataPaths: { phantom: '-' } }))).toBe(202);
  });
});

describe('the check of a target', () => {
  const findings = async (own: AgentTest) =>
    (await must(api, 200, 'GET', `/v1/targets/${own.target}/check`)).findings;

  test('says which agents were heard when, what they found, and what to run where none is', async () => {
    const own = api.another();
    const missing = `on a machine beside its engine run: counterweight agent --target ${own.target}`;
    expect(await findings(own)).toEqual([
      {
        severity: 'error',
        detail: `no agent of target "${own.target}" was ever heard; ${missing}`,
      },
    ]);
    const found = [{ severity: 'warning', detail: 'partition gpu is down' }];
    const [one, two] = [await own.agent('one'), await own.agent('two')];
    await one.claim({ findings: found });
    await one.claim(); // says nothing new: what it found stands
    const first = own.deps.now().toISOString();
    own.moveClock(91_000);
    await two.claim();
    const second = own.deps.now().toISOString();
    expect(await findings(own)).toEqual([
      { severity: 'ok', detail: `agent two (version 1) was last heard at ${second}` },
      { severity: 'warning', detail: `agent one (version 1) was last heard at ${first}` },
    ]);
    await one.claim();
    expect(await findings(own)).toContainEqual({
      severity: 'warning',
      detail: 'agent one: partition gpu is down',
    });
    own.moveClock(8 * 86_400_000);
    expect(await findings(own)).toEqual([
      { severity: 'error', detail: expect.stringContaining(`was heard since ${second}; `) },
    ]);
  });
});

test('the answer with a token may be kept by nobody, also not under an Idempotency-Key', async () => {
  const job = await api.launch();
  await agent.claim();
  const headers = { 'idempotency-key': 'launch-once' };
  const first = await agent.send('POST', statePath(keyOf(job)), notFound, headers);
  expect(first.headers.get('cache-control')).toBe('no-store');
  const { token } = ((await first.json()) as { launch: { token: string } }).launch;
  expect((await agent.send('POST', statePath(keyOf(job)), notFound, headers)).status).toBe(409);
  const kept = await api.database.orm.execute(sql`select * from idempotency_keys`);
  const audit = await must(api, 200, 'GET', '/v1/audit?limit=500');
  const seen = JSON.stringify([kept, audit, await api.read(job.id), api.logged]);
  expect(seen).not.toContain(token);
});
