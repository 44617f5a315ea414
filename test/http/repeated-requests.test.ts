// A request under an Idempotency-Key whose server dies at every step of its work, one after the
// other: the repeat, served by another process, makes the thing once and answers it.

import { beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import { recoveries } from '../../api/routes/recovered.ts';
import { claimedForMs } from '../../api/services/idempotency.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import { openTestApp, type Sending, type TestApp } from '../support/app.ts';
import { caseLines, frozenSnapshot, must, ndjsonOf } from '../support/builders.ts';
import { type CutDatabase, cutDatabase } from '../support/cut-database.ts';
import { openTestDatabase } from '../support/database.ts';
import { createFakeLauncher } from '../support/fake-launcher.ts';
import { type Request, type Scenario, toldScenarios } from '../support/repeated-requests.ts';
import { webhooksSending } from '../support/webhooks.ts';

const launcher = createFakeLauncher();
const targets = launchTargetsSchema.parse([
  { name: 'local', engine: 'local', dataPaths: { phantom: '/images' } },
  { name: 'far', engine: 'agent', images: [`x@sha256:${'a'.repeat(64)}`], outputPath: '/out' },
]);

let dying: TestApp;
let cut: CutDatabase;
let api: TestApp;
let ann: Sending & { token: string };
let snapshot: string;
beforeAll(async () => {
  const database = await openTestDatabase();
  cut = cutDatabase(database);
  api = await openTestApp({ database, targets, launcher });
  dying = await openTestApp({ database: cut.database, targets, launcher, process: 1 });
  ({ digest: snapshot } = (await frozenSnapshot(api, { count: 200 })).snapshot);
  ann = await api.as('ann', 'approver');
  const heard = { status: 200, retryAfter: null, text: '' };
  for (const app of [api, dying]) {
    app.deps.webhooks = await webhooksSending(async () => heard);
  }
});

const phantom = '/v1/datasets/phantom';
const launch = {
  target: 'local',
  seed: 7,
  settings: { epochs: 2, drawsPerEpoch: 8, batchSize: 2 },
};
const itemsOf = async (path: string) => (await must(api, 200, 'GET', path)).items as any[];
const audited = (action: string, subject: string) =>
  itemsOf(`/v1/audit?limit=500&action=${action}&subject=${encodeURIComponent(subject)}`);
const jobsFor = async (reason: string) =>
  (await itemsOf('/v1/jobs?limit=500')).filter((job) => job.launchReason === reason);

async function dataset(name: string): Promise<string> {
  const attributes = { site: { type: 'string' } };
  return (await must(api, 201, 'POST', '/v1/datasets', { name, attributes })).id;
}

async function draft(name: string): Promise<string> {
  await dataset(name);
  await must(api, 201, 'POST', `/v1/datasets/${name}/versions`, { reason: 'r' });
  const lines = caseLines(2).map(({ id }) => ({ id, attributes: { site: 'A' } }));
  await must(api, 200, 'POST', `/v1/datasets/${name}/versions/1/cases`, ndjsonOf(lines));
  return `/v1/datasets/${name}/versions/1/commit`;
}

async function approvalPath(meaning: string): Promise<string> {
  const path = `/v1/snapshots/${snapshot}/approvals`;
  const { id } = await must(ann, 201, 'POST', path, { meaning, reason: 'seen' });
  return `${path}/${id}/revoke`;
}

async function job(reason: string, ended = false): Promise<string> {
  const body = { ...launch, snapshot, reason };
  const { id } = await must(api, 201, 'POST', '/v1/jobs', body);
  if (!ended) return id;
  await must(api, 200, 'POST', `/v1/jobs/${id}/cancel`, {});
  launcher.observe(`cw-${id}-1`, { state: 'cancelled', detail: 'gone' });
  await reconcileJobs(api.deps);
  return id;
}

const scenarios: Record<string, Scenario> = {
  'POST /v1/datasets': {
    of: (name) => ({ path: '/v1/datasets', body: { name, attributes: {} } }),
    made: async (name) => (await itemsOf('/v1/datasets?limit=500')).filter((d) => d.name === name),
  },
  'POST /v1/datasets/{dataset}/versions': {
    of: async (name) => {
      await dataset(name);
      return { path: `/v1/datasets/${name}/versions`, body: { reason: 'r' } };
    },
    made: (name) => itemsOf(`/v1/datasets/${name}/versions`),
  },
  'POST /v1/datasets/{dataset}/versions/{n}/commit': {
    of: async (name) => ({ path: await draft(name), body: { reason: 'r' } }),
    made: async (name) =>
      (await itemsOf(`/v1/datasets/${name}/versions`)).filter((v) => v.state === 'committed'),
    status: 200,
  },
  'POST /v1/datasets/{dataset}/rule-sets': {
    of: (name) => ({
      path: `${phantom}/rule-sets`,
      body: { name, rules: { target: { terms: [] }, sampling: { terms: [] } }, reason: 'r' },
    }),
    made: async (name) =>
      (await itemsOf(`${phantom}/rule-sets?limit=500`)).filter((r) => r.name === name),
  },
  'POST /v1/datasets/{dataset}/rule-sets/copy': {
    of: (name) => ({
      path: `${phantom}/rule-sets/copy`,
      body: { from: { dataset: 'phantom', ruleSet: 'rare@1' }, name, reason: 'r' },
    }),
    made: async (name) =>
      (await itemsOf(`${phantom}/rule-sets?limit=500`)).filter((r) => r.name === name),
  },
  'POST /v1/datasets/{dataset}/snapshots': {
    of: async (name) => {
      // Rules that nobody froze before: the same inputs would be the same snapshot.
      const sampling = { terms: [], floor: 0.2, cap: 2 + Number(name.match(/\d+$/)?.[0]) / 100 };
      const body = { name, rules: { target: { terms: [] }, sampling }, reason: 'r' };
      await must(api, 201, 'POST', `${phantom}/rule-sets`, body);
      const frozen = { version: 1, split: 'five-fold', folds: [1, 2], ruleSet: name, reason: name };
      return { path: `${phantom}/snapshots`, body: frozen };
    },
    made: async (name) =>
      (await itemsOf(`${phantom}/snapshots?limit=500`)).filter(
        (s) => s.reason === name && s.header.fold === 1,
      ),
  },
  'POST /v1/datasets/{dataset}/withdrawals': {
    of: (name) => {
      // Of the validation side: no job is refused for it.
      const caseId = `case_${String(5 * Number(name.match(/\d+$/)?.[0])).padStart(4, '0')}`;
      return { path: `${phantom}/withdrawals`, body: { caseId, reason: name } };
    },
    made: async (name) =>
      (await itemsOf(`${phantom}/withdrawals?limit=500`)).filter((w) => w.reason === name),
  },
  'POST /v1/snapshots/{snapshot}/approvals': {
    of: (name) => ({
      path: `/v1/snapshots/${snapshot}/approvals`,
      body: { meaning: name, reason: 'seen' },
      token: ann.token,
    }),
    made: async (name) =>
      (await itemsOf(`/v1/snapshots/${snapshot}/approvals?limit=500`)).filter(
        (a) => a.meaning === name,
      ),
  },
  'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke': {
    of: async (name) => ({
      path: await approvalPath(name),
      body: { reason: 'r' },
      token: ann.token,
    }),
    made: async (name) =>
      (await itemsOf(`/v1/snapshots/${snapshot}/approvals?limit=500`)).filter(
        (a) => a.meaning === name && a.revoked !== null,
      ),
    status: 200,
  },
  'POST /v1/jobs': {
    of: (name) => ({ path: '/v1/jobs', body: { ...launch, snapshot, reason: name } }),
    made: jobsFor,
  },
  'POST /v1/jobs/{id}/cancel': {
    of: async (name) => ({ path: `/v1/jobs/${await job(name)}/cancel`, body: { reason: 'r' } }),
    made: async (name) => audited('job.cancelled', `job/${(await jobsFor(name))[0].id}`),
    status: 200,
  },
  'POST /v1/jobs/{id}/retry': {
    of: async (name) => ({ path: `/v1/jobs/${await job(name, true)}/retry`, body: {} }),
    made: async (name) => (await jobsFor(name))[0].attempts.slice(1),
    status: 200,
  },
  'POST /v1/tokens': {
    of: (name) => ({ path: '/v1/tokens', body: { name, actor: 'someone', role: 'reader' } }),
    made: async (name) => (await itemsOf('/v1/tokens?limit=500')).filter((t) => t.name === name),
  },
  ...toldScenarios({ api: () => api, itemsOf, audited }),
};

/** Routes whose answer holds a secret: it is not shown again. */
const secret = ['POST /v1/tokens', 'POST /v1/workspaces', 'POST /v1/webhooks'];

const send = async (to: TestApp, { path, body, token = to.token }: Request, key: string) => {
  const headers = { authorization: `Bearer ${token}`, 'idempotency-key': key };
  const response = await to.send('POST', path, body, headers);
  return { status: response.status, response, body: await response.json() };
};

const secondLater = (milliseconds: number) => {
  for (const app of [api, dying]) app.moveClock(milliseconds);
};

/** Kills the server of one request after so many steps; false where it was done before. */
async function dies(scenario: Scenario, route: string, steps: number): Promise<boolean> {
  const name = `${route.replaceAll(/[^a-zA-Z]+/g, '-').slice(5, 60)}-${steps}`;
  const request = await scenario.of(name);
  cut.cutAfter(steps);
  const first = await send(dying, request, name);
  const died = cut.wasCut();
  cut.cutAfter(Number.POSITIVE_INFINITY);
  if (!died) expect(first.status).toBe(scenario.status ?? 201);
  // Where it died before its claim, or after its answer was kept, nobody has to wait for it.
  const soon = await send(api, request, name);
  if (soon.status === 409 && !secret.includes(route)) {
    expect(soon.body.detail).toContain('still being served');
    expect(soon.response.headers.get('retry-after')).toBe('2');
  }
  secondLater(claimedForMs + 1);
  const repeat = await send(api, request, name);
  if (repeat.status === 409) {
    expect([secret.includes(route), repeat.body.detail]).toEqual([
      true,
      expect.stringContaining('secret'),
    ]);
  } else {
    expect([steps, repeat.status]).toEqual([
      steps,
      expect.toSatisfy((s) => s === 200 || s === 201),
    ]);
    const again = await send(api, request, name);
    if (!secret.includes(route)) expect(again.body).toEqual(repeat.body);
    if (!died) expect(repeat.body).toEqual(first.body);
  }
  const made = await scenario.made(name, request);
  expect([steps, made.length]).toEqual([steps, 1]);
  return died;
}

describe('a server that dies at any step leaves one thing and an answer', () => {
  test.each(Object.entries(scenarios))('%s', async (route, scenario) => {
    let steps = 0;
    while (await dies(scenario, route, steps)) steps += 1;
    expect(steps).toBeGreaterThan(5);
  });

  test('also of a launch for an agent, and of several folds of an alias', async () => {
    const folds = { '0': snapshot };
    const alias = { snapshots: folds, reason: 'r' };
    await must(api, 201, 'PUT', `${phantom}/aliases/best`, alias);
    const several: Scenario = {
      of: (name) => ({
        path: '/v1/jobs',
        body: { ...launch, dataset: 'phantom', alias: 'best', reason: name },
      }),
      made: jobsFor,
    };
    let steps = 0;
    while (await dies(several, 'POST /v1/jobs of several', steps)) steps += 1;
  });
});

test('every POST that writes audit entries says how its answer is found again', () => {
  const withoutEntries = [
    'POST /v1/datasets/{dataset}/rule-sets/check',
    'POST /v1/datasets/{dataset}/what-if',
    'POST /v1/datasets/{dataset}/versions/{n}/cases',
    'POST /v1/agents/{target}/claim',
    'POST /v1/agents/attempts/{id}/state',
    'POST /v1/github/exchange', // before it is known who asks; a token of GitHub counts once
    'POST /v1/webhooks/{id}/test',
    'POST /v1/trainer/reports',
    'POST /v1/trainer/finish',
  ];
  const { paths = {} } = openApiDocument(api.app, 'test');
  const posts = Object.entries(paths).flatMap(([path, methods]) =>
    'post' in methods ? [`POST ${path}`] : [],
  );
  expect(posts.toSorted()).toEqual([...withoutEntries, ...Object.keys(recoveries)].toSorted());
  expect(Object.keys(scenarios).toSorted()).toEqual(Object.keys(recoveries).toSorted());
});
