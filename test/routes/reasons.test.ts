// Every write of the OpenAPI document asks for a reason or says here why not, and leaves an audit
// entry or says here why not. A route that is added and named in neither list fails this file.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import { attributes, caseLines, foldsOf, ndjsonOf, rules } from '../support/builders.ts';
import { policyBody } from '../support/github.ts';
import { openGithubIssuer, runClaims, type TestIssuer } from '../support/github-issuer.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { webhooksSending } from '../support/webhooks.ts';

/** Writes without a required reason, and why that changes nothing that a model would learn. */
const withoutReason: Record<string, string> = {
  'POST /v1/datasets': 'an empty dataset trains nothing',
  'PUT /v1/datasets/{dataset}/attributes/{name}': 'read by later versions only; commits say why',
  'DELETE /v1/datasets/{dataset}/versions/{n}': 'no snapshot is of a draft',
  'POST /v1/datasets/{dataset}/versions/{n}/cases': 'a draft; its commit says why',
  'PUT /v1/datasets/{dataset}/versions/{n}/splits/{split}': 'a draft; its commit says why',
  'POST /v1/datasets/{dataset}/rule-sets/check': 'stores nothing',
  'POST /v1/datasets/{dataset}/what-if': 'stores nothing',
  'POST /v1/jobs/{id}/cancel': 'ends a job and changes no snapshot; a reason may be given',
  'POST /v1/jobs/{id}/retry': 'the same snapshot, seed and settings; a reason may be given',
  'POST /v1/tokens': 'says who may act, not what is trained',
  'DELETE /v1/tokens/{id}': 'says who may act, not what is trained',
  'POST /v1/workspaces': 'an empty one trains nothing; a reason may be given',
  'DELETE /v1/github/policies/{id}': 'takes a trust away, which was given with a reason',
  'POST /v1/github/exchange': 'the policy that it is made by was made with a reason',
  'DELETE /v1/webhooks/{id}': 'says who is told, not what is trained',
  'POST /v1/webhooks/{id}/test': 'tells somebody nothing new',
  'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver': 'tells somebody again',
  'POST /v1/trainer/reports': 'what a trainer measured, not what anybody decided',
  'POST /v1/trainer/finish': 'what a trainer measured, not what anybody decided',
  'POST /v1/agents/{target}/claim': 'starts what somebody launched with a reason',
  'POST /v1/agents/attempts/{id}/state': 'what an engine says, not what anybody decided',
};

/** Writes that leave no entry of their own, and why. */
const withoutEntry: Record<string, string> = {
  'POST /v1/datasets/{dataset}/rule-sets/check': 'stores nothing',
  'POST /v1/datasets/{dataset}/what-if': 'stores nothing',
  'POST /v1/webhooks/{id}/test': 'a ping tells of nothing; webhook.disabled where it is the end',
  'POST /v1/trainer/reports': 'draws are chained in the ledger, whose head job.ended keeps',
  'POST /v1/trainer/finish': 'job.ended follows from the tick',
  'POST /v1/agents/{target}/claim': 'an event of the job, as what any engine says',
  'POST /v1/agents/attempts/{id}/state': 'job.ended where an attempt ends by it',
};

type Schema = { $ref?: string; required?: string[]; anyOf?: Schema[]; allOf?: Schema[] };
type Operation = {
  requestBody?: { content: Record<string, { schema?: Schema }> };
  parameters?: { name: string; required?: boolean }[];
};

let api: JobTest;
let document: {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};
let issuer: TestIssuer;
beforeAll(async () => {
  api = await openJobTest();
  issuer = await openGithubIssuer();
  api.deps.githubIssuers = [issuer];
  known.oidc = await issuer.sign(runClaims(api.deps.now()));
  const gone = { status: 410, retryAfter: null, text: '' };
  api.deps.webhooks = await webhooksSending(async () => gone);
  document = openApiDocument(api.app, 'test') as never;
});
afterAll(async () => {
  issuer.close();
  await api.database.close();
});

function writes(): [string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => ['post', 'put', 'patch', 'delete'].includes(method))
      .map(([method, one]): [string, Operation] => [`${method.toUpperCase()} ${path}`, one]),
  );
}

function requiresReason({ requestBody, parameters = [] }: Operation): boolean {
  if (parameters.some(({ name, required }) => name === 'reason' && required)) return true;
  const bodies = Object.values(requestBody?.content ?? {});
  return bodies.length > 0 && bodies.every(({ schema }) => asks(schema));
}

function asks(schema: Schema | undefined): boolean {
  if (schema?.$ref !== undefined) {
    return asks(document.components.schemas[schema.$ref.split('/').at(-1) as string]);
  }
  if (schema?.anyOf !== undefined) return schema.anyOf.every(asks);
  return schema?.required?.includes('reason') === true || schema?.allOf?.some(asks) === true;
}

test('every write requires a reason, those named above aside', () => {
  const without = writes().filter(([, operation]) => !requiresReason(operation));
  expect(without.map(([route]) => route).sort()).toEqual(Object.keys(withoutReason).sort());
});

test('a schema that asks for no reason in one of its forms does not require one', () => {
  expect(asks({ required: ['reason'] })).toBe(true);
  expect(asks({ anyOf: [{ required: ['reason'] }, { required: [] }] })).toBe(false);
  expect(asks({ allOf: [{ required: ['name'] }, { required: ['reason'] }] })).toBe(true);
  expect(requiresReason({})).toBe(false);
});

/** A request of each write that leaves an entry; they are made in this order. */
type Step = [route: string, path: () => string, body?: unknown, by?: string];
const known: Record<string, string> = {};
const reason = 'said in this test';
const lines = caseLines(40);
const dataset = '/v1/datasets/noted';
const summary = {
  metric_per_case: lines
    .filter((_, k) => k % 5 === 0)
    .map(({ id }) => ({ prediction_file: `${id}.nii.gz`, metrics: { 1: { Dice: 0.5 } } })),
};
const steps: Step[] = [
  ['POST /v1/datasets', () => '/v1/datasets', { name: 'noted', attributes }],
  [
    'PUT /v1/datasets/{dataset}/attributes/{name}',
    () => `${dataset}/attributes/dice`,
    {
      type: 'number',
      required: false,
      origin: { model: 'm', evidence: 'outOfFold', split: 'five-fold' },
    },
  ],
  ['POST /v1/datasets/{dataset}/versions', () => `${dataset}/versions`, { reason }],
  ['DELETE /v1/datasets/{dataset}/versions/{n}', () => `${dataset}/versions/1`],
  ['POST /v1/datasets/{dataset}/versions', () => `${dataset}/versions`, { reason }],
  [
    'POST /v1/datasets/{dataset}/versions/{n}/cases',
    () => `${dataset}/versions/2/cases`,
    ndjsonOf(lines),
  ],
  [
    'PUT /v1/datasets/{dataset}/versions/{n}/splits/{split}',
    () => `${dataset}/versions/2/splits/five-fold`,
    foldsOf(lines.map(({ id }) => id)),
  ],
  [
    'PUT /v1/datasets/{dataset}/versions/{n}/scores/{attribute}',
    () => `${dataset}/versions/2/scores/dice?split=five-fold&fold=0&reason=${reason}`,
    summary,
  ],
  [
    'POST /v1/datasets/{dataset}/versions/{n}/commit',
    () => `${dataset}/versions/2/commit`,
    { reason },
  ],
  [
    'POST /v1/datasets/{dataset}/rule-sets',
    () => `${dataset}/rule-sets`,
    { name: 'rare', rules, reason },
  ],
  [
    'POST /v1/datasets/{dataset}/rule-sets/copy',
    () => `${dataset}/rule-sets/copy`,
    { from: { dataset: 'phantom', ruleSet: 'rare@1' }, name: 'copied', reason },
  ],
  [
    'POST /v1/datasets/{dataset}/snapshots',
    () => `${dataset}/snapshots`,
    { version: 2, split: 'five-fold', fold: 0, ruleSet: 'rare@1', reason },
  ],
  [
    'POST /v1/snapshots/{snapshot}/approvals',
    () => `/v1/snapshots/${api.snapshot}/approvals`,
    { meaning: 'use', reason },
    'ann',
  ],
  [
    'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke',
    () => `/v1/snapshots/${api.snapshot}/approvals/${known.id}/revoke`,
    { reason },
    'ann',
  ],
  [
    'PUT /v1/datasets/{dataset}/aliases/{alias}',
    () => '/v1/datasets/phantom/aliases/production',
    { snapshots: () => ({ 0: api.snapshot }), reason },
  ],
  [
    'POST /v1/jobs',
    () => '/v1/jobs',
    {
      snapshot: () => api.snapshot,
      target: 'local',
      seed: 1,
      settings: { epochs: 2, drawsPerEpoch: 8, batchSize: 2 },
      reason,
    },
  ],
  ['POST /v1/jobs/{id}/cancel', () => `/v1/jobs/${known.id}/cancel`, { reason }],
  ['POST /v1/jobs/{id}/retry', () => `/v1/jobs/${known.id}/retry`, { reason }],
  [
    'POST /v1/datasets/{dataset}/withdrawals',
    () => '/v1/datasets/phantom/withdrawals',
    { caseId: 'case_0001', reason },
  ],
  ['POST /v1/tokens', () => '/v1/tokens', { name: 'bea at home', actor: 'bea', role: 'reader' }],
  ['DELETE /v1/tokens/{id}', () => `/v1/tokens/${known.id}`],
  ['POST /v1/workspaces', () => '/v1/workspaces', { name: 'clinic', actor: 'bo' }],
  [
    'POST /v1/github/policies',
    () => '/v1/github/policies',
    { ...policyBody, issuer: () => issuer.issuer, reason },
  ],
  [
    'POST /v1/github/exchange',
    () => '/v1/github/exchange',
    { token: () => known.oidc },
    'github:octo-lab/segmentation@refs/heads/main (run 123/1, by octocat)',
  ],
  ['DELETE /v1/github/policies/{id}', () => `/v1/github/policies/${known.id}`],
  [
    'POST /v1/webhooks',
    () => '/v1/webhooks',
    { url: 'https://hooks.example.org/', events: ['job.*'], reason },
  ],
  ['POST /v1/webhooks/{id}/enable', () => `/v1/webhooks/${known.webhook}/enable`, { reason }],
  [
    'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver',
    () => `/v1/webhooks/${known.webhook}/deliveries/${known.ping}/redeliver`,
  ],
  ['DELETE /v1/webhooks/{id}', () => `/v1/webhooks/${known.webhook}`],
];

type Entry = { sequence: number; reason: string | null; actor: string };
const lastEntry = async (): Promise<Entry> => {
  const { body } = await api.call('GET', '/v1/audit/head');
  const { items } = (await api.call('GET', `/v1/audit?cursor=${btoa(`${body.sequence - 1}`)}`))
    .body;
  return items.at(-1);
};

/** Parts of a body that are known only when it is sent. */
function filled(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const parts = Object.entries(body).map(([key, value]) => [
    key,
    typeof value === 'function' ? value() : value,
  ]);
  return Object.fromEntries(parts);
}

test('every write that leaves an entry is among the requests below', () => {
  const made = [...new Set(steps.map(([route]) => route))];
  const all = writes().map(([route]) => route);
  expect([...made, ...Object.keys(withoutEntry)].sort()).toEqual(all.sort());
});

describe('the audit entry of', () => {
  let ann: Pick<JobTest, 'call'>;
  beforeAll(async () => {
    ann = await api.as('ann', 'approver');
  });

  test.each(steps)('%s', async (route, pathOf, body, by) => {
    const sender = by === 'ann' ? ann : api;
    const [method] = route.split(' ');
    const path = pathOf();
    const asked = filled(body) as Record<string, unknown> | undefined;
    const before = await lastEntry();
    if (!(route in withoutReason)) {
      const { reason: _, ...silent } = asked ?? {};
      const bare = path.replace(/&reason=.*/, '');
      const refused = await sender.call(method, bare, bare === path ? silent : asked);
      expect([400, 422]).toContain(refused.status);
      expect(JSON.stringify(refused.body.errors)).toContain('reason');
      expect(await lastEntry()).toEqual(before);
    }
    const done = await sender.call(method, path, asked);
    expect([done.status, done.body]).toEqual([expect.toSatisfy((s) => s < 300), done.body]);
    known.id = done.body?.id ?? known.id;
    const after = await lastEntry();
    expect(after.sequence).toBeGreaterThan(before.sequence);
    expect(after.actor).toBe(by ?? 'admin');
    if (!(route in withoutReason)) expect(after.reason).toBe(reason);
    if (route.endsWith('/cancel')) await endJob(known.id);
    if (route === 'POST /v1/webhooks') await disableWebhook(known.id);
  });
});

async function disableWebhook(id: string): Promise<void> {
  known.webhook = id;
  known.ping = (await api.call('POST', `/v1/webhooks/${id}/test`)).body.id;
}

async function endJob(id: string): Promise<void> {
  const exit = { code: 1, signal: null };
  api.launcher.observe(api.keyOf(id), { state: 'exited', exit });
  await api.tick();
}
