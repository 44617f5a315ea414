// Who may do what: the expected answer of every route to every token. Written down on its own, and
// not read off api/http/roles.ts, so that a slip there does not pass as what was meant.

import { type Role, roles } from '../../api/contract/tokens.ts';
import { attributes, caseLines, foldsOf, ndjsonOf, rules } from './builders.ts';
import { policyBody } from './github.ts';
import { jobSeed, jobSettings } from './jobs.ts';

/** What a request names: a thing of workspace A, or in the same place something that is nowhere. */
export type Named = Record<
  | 'dataset'
  | 'snapshot'
  | 'ruleSet'
  | 'alias'
  | 'approval'
  | 'cancelled'
  | 'running'
  | 'attempt'
  | 'target'
  | 'token'
  | 'policy'
  | 'webhook'
  | 'oldWebhook'
  | 'delivery',
  string
>;

export type Row = {
  /** Which tokens are let through. */
  may: keyof typeof allowed;
  /** The status then; 409, a conflict with a thing that is there, is said after all looking-up. */
  own: number;
  /**
   * The same request from another workspace: it finds nothing (404), acts within its own workspace
   * and sees nothing of this one, or is about the deployment and no workspace.
   */
  elsewhere: 'nothing' | 'its own' | 'the same';
  /** What stands for a place of the path that is not called like the thing; `k` counts requests. */
  at?: (named: Named, k: number) => Record<string, string>;
  query?: string | ((named: Named) => string);
  body?: (named: Named, k: number) => unknown;
};

const readers = roles.filter((role) => role !== 'agent');

/** Roles behind a word of the rows; a trainer's token is of no role. */
export const allowed = {
  anyone: roles,
  readers,
  editor: ['editor', 'admin'],
  launcher: ['launcher', 'admin'],
  approver: ['approver', 'admin'],
  agent: ['agent', 'admin'],
  admin: ['admin'],
  deployment: ['admin'],
  trainer: [],
} satisfies Record<string, readonly Role[]>;

const reads = (more: Partial<Row> = {}): Row => ({
  may: 'readers',
  own: 200,
  elsewhere: 'nothing',
  ...more,
});
const writes = (may: Row['may'], own: number, body: Row['body'], more: Partial<Row> = {}): Row => ({
  may,
  own,
  elsewhere: 'nothing',
  body,
  ...more,
});

const itsOwn = { elsewhere: 'its own' } as const;
const theSame = { elsewhere: 'the same' } as const;
const reason = 'aonly: said in this test';
const ids = caseLines(40).map(({ id }) => id);
const fold = { version: 1, split: 'five-fold', fold: 0 };
const job = { at: ({ cancelled }: Named) => ({ id: cancelled }) };
const webhook = { at: (named: Named) => ({ id: named.webhook }) };
const dataset = '/v1/datasets/{dataset}';

export const accessRows: Record<string, Row> = {
  'GET /health': reads({ may: 'anyone', ...theSame }),

  'POST /v1/datasets': writes('editor', 201, (_, k) => ({ name: `made-${k}`, attributes }), itsOwn),
  'GET /v1/datasets': reads(itsOwn),
  [`GET ${dataset}`]: reads(),
  [`PUT ${dataset}/attributes/{name}`]: writes(
    'editor',
    200,
    () => ({ type: 'number', required: false }),
    { at: (_, k) => ({ name: `extra${k}` }) },
  ),
  [`POST ${dataset}/versions`]: writes('editor', 409, () => ({ reason })),
  [`GET ${dataset}/versions`]: reads(),
  [`GET ${dataset}/versions/{n}`]: reads(),
  [`DELETE ${dataset}/versions/{n}`]: writes('editor', 409, undefined),
  [`POST ${dataset}/versions/{n}/commit`]: writes('editor', 409, () => ({ reason })),
  [`POST ${dataset}/versions/{n}/cases`]: writes('editor', 409, () => ndjsonOf(caseLines(1))),
  [`GET ${dataset}/versions/{n}/cases`]: reads(),
  [`PUT ${dataset}/versions/{n}/splits/{split}`]: writes('editor', 409, () => foldsOf(ids)),
  [`GET ${dataset}/versions/{n}/splits/{split}`]: reads(),
  [`PUT ${dataset}/versions/{n}/scores/{attribute}`]: writes(
    'editor',
    409,
    () => ({ metric_per_case: [{ prediction_file: 'x.nii.gz', metrics: { 1: { Dice: 0.5 } } }] }),
    { query: `split=five-fold&fold=0&reason=${reason}` },
  ),

  [`POST ${dataset}/rule-sets/check`]: writes('readers', 200, () => ({ rules })),
  [`POST ${dataset}/rule-sets`]: writes('editor', 201, () => ({ name: 'again', rules, reason })),
  [`GET ${dataset}/rule-sets`]: reads(),
  [`GET ${dataset}/rule-sets/{ruleSet}`]: reads(),
  [`GET ${dataset}/rule-sets/{name}/history`]: reads({
    at: ({ ruleSet }) => ({ name: ruleSet.split('@')[0] }),
  }),
  [`POST ${dataset}/rule-sets/copy`]: writes('editor', 201, (named) => ({
    from: { dataset: named.dataset, ruleSet: named.ruleSet },
    name: 'copied',
    reason,
  })),
  [`POST ${dataset}/what-if`]: writes('readers', 200, () => ({ ...fold, rules })),
  [`POST ${dataset}/snapshots`]: writes('editor', 200, ({ ruleSet }) => ({
    ...fold,
    ruleSet,
    reason,
  })),
  [`GET ${dataset}/snapshots`]: reads(),
  [`POST ${dataset}/withdrawals`]: writes('editor', 409, () => ({ caseId: 'case_0007', reason })),
  [`GET ${dataset}/withdrawals`]: reads(),
  [`PUT ${dataset}/aliases/{alias}`]: writes('editor', 200, ({ snapshot }) => ({
    snapshots: { 0: snapshot },
    reason,
  })),
  [`GET ${dataset}/aliases`]: reads(),
  [`GET ${dataset}/aliases/{alias}`]: reads(),
  [`GET ${dataset}/cases/{caseId}/usage`]: reads(),

  'GET /v1/snapshots/{snapshot}': reads(),
  'GET /v1/snapshots/{snapshot}/cases': reads(),
  'GET /v1/snapshots/{snapshot}/cases/{caseId}': reads(),
  'GET /v1/snapshots/{a}/diff/{b}': reads({ at: ({ snapshot }) => ({ a: snapshot, b: snapshot }) }),
  'GET /v1/snapshots/{snapshot}/shares': reads(),
  'GET /v1/snapshots/{snapshot}/draws': reads({ query: 'seed=1&epoch=0&draws=4' }),
  'GET /v1/snapshots/{snapshot}/lineage': reads(),
  'POST /v1/snapshots/{snapshot}/approvals': writes('approver', 201, () => ({
    meaning: 'use',
    reason,
  })),
  'GET /v1/snapshots/{snapshot}/approvals': reads(),
  'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke': writes(
    'approver',
    409,
    () => ({ reason }),
    { at: ({ approval }) => ({ id: approval }) },
  ),

  'GET /v1/targets': reads(itsOwn),
  'GET /v1/targets/{name}/check': reads({ at: ({ target }) => ({ name: target }) }),

  'POST /v1/jobs': writes('launcher', 202, ({ snapshot }) => ({
    snapshot,
    target: 'cluster',
    seed: jobSeed,
    settings: jobSettings,
    reason,
  })),
  'GET /v1/jobs': reads(itsOwn),
  'GET /v1/jobs/{id}': reads(job),
  'POST /v1/jobs/{id}/cancel': writes('launcher', 200, () => ({ reason }), job),
  'POST /v1/jobs/{id}/retry': writes('launcher', 409, () => ({ reason }), {
    at: ({ running }) => ({ id: running }),
  }),
  'GET /v1/jobs/{id}/metrics': reads(job),
  'GET /v1/jobs/{id}/events': reads(job),
  'GET /v1/jobs/{id}/log': reads(job),
  'GET /v1/jobs/{id}/ledger': reads(job),
  'GET /v1/jobs/{id}/artifacts': reads(job),
  'GET /v1/jobs/compare': reads({ query: ({ cancelled }) => `ids=${cancelled}` }),
  'GET /v1/usage': reads({ ...itsOwn, query: 'by=job' }),

  'POST /v1/agents/{target}/claim': writes(
    'agent',
    200,
    (_, k) => ({ agent: `agent-${k}`, version: '1' }),
    { ...itsOwn, at: () => ({ target: 'cluster' }) },
  ),
  'POST /v1/agents/attempts/{id}/state': writes(
    'agent',
    409,
    () => ({ agent: 'another', observation: { state: 'notFound' } }),
    { at: ({ attempt }) => ({ id: attempt }) },
  ),

  'POST /v1/tokens': writes(
    'admin',
    201,
    () => ({ name: 'laptop', actor: 'ada', role: 'reader' }),
    itsOwn,
  ),
  'GET /v1/tokens': reads({ may: 'admin', ...itsOwn }),
  'DELETE /v1/tokens/{id}': writes('admin', 200, undefined, {
    at: ({ token }) => ({ id: token }),
  }),
  'POST /v1/workspaces': writes(
    'deployment',
    201,
    (_, k) => ({ name: `made-${k}`, actor: 'ada' }),
    theSame,
  ),
  'GET /v1/workspaces': reads({ may: 'deployment', ...theSame }),

  'POST /v1/github/exchange': writes('anyone', 401, () => ({ token: 'no.such.token' }), theSame),
  'POST /v1/github/policies': writes('admin', 201, (named) => ({
    ...policyBody,
    dataset: named.dataset,
    reason,
  })),
  'GET /v1/github/policies': reads({ may: 'admin', ...itsOwn }),
  'DELETE /v1/github/policies/{id}': writes('admin', 200, undefined, {
    at: ({ policy }) => ({ id: policy }),
  }),

  'POST /v1/webhooks': writes(
    'admin',
    201,
    () => ({ url: 'https://hooks.example.org/', events: ['job.ended'], reason: 'asked' }),
    itsOwn,
  ),
  'GET /v1/webhooks': reads({ may: 'admin', ...itsOwn }),
  'GET /v1/webhooks/{id}': reads({ may: 'admin', ...webhook }),
  'DELETE /v1/webhooks/{id}': writes('admin', 200, undefined, {
    at: ({ oldWebhook }) => ({ id: oldWebhook }),
  }),
  'POST /v1/webhooks/{id}/enable': writes('admin', 200, () => ({ reason }), webhook),
  'POST /v1/webhooks/{id}/test': writes('admin', 200, undefined, webhook),
  'GET /v1/webhooks/{id}/deliveries': reads({ may: 'admin', ...webhook }),
  'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver': writes(
    'admin',
    200,
    undefined,
    webhook,
  ),

  'GET /v1/audit': reads(itsOwn),
  'GET /v1/audit/verify': reads(itsOwn),
  'GET /v1/audit/head': reads(itsOwn),
  'GET /v1/audit/key': reads(theSame),
  'GET /v1/audit/export': reads(itsOwn),

  'GET /v1/trainer/job': reads({ may: 'trainer', ...itsOwn }),
  'GET /v1/trainer/snapshot': reads({ may: 'trainer', ...itsOwn }),
  'GET /v1/trainer/cases': reads({ may: 'trainer', ...itsOwn }),
  'POST /v1/trainer/reports': writes('trainer', 200, () => ({ sequence: 0, log: 'l' }), itsOwn),
  'POST /v1/trainer/finish': writes(
    'trainer',
    200,
    () => ({ outcome: 'failed', summary: {}, error: 'no luck' }),
    itsOwn,
  ),
};
