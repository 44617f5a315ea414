// What a repeated POST is answered when its first answer was lost: the same thing, read again. The
// audit entries of the first request say what that is.

import type { Job } from '../contract/jobs.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import type { Recover } from '../http/idempotency.ts';
import { routeOf } from '../http/route-name.ts';
import { pageOfApprovals } from '../services/approvals.ts';
import { getDataset } from '../services/datasets.ts';
import { getGithubPolicy } from '../services/github/policies.ts';
import type { DoneEntry } from '../services/idempotency.ts';
import { getJob } from '../services/jobs/read.ts';
import { getRuleSet } from '../services/rule-sets.ts';
import { waitsForAgents } from '../services/targets.ts';
import { getVersion } from '../services/versions.ts';
import { getDelivery } from '../services/webhooks/deliveries.ts';
import { getWebhook } from '../services/webhooks/manage.ts';
import { getWithdrawn } from '../services/withdrawals.ts';

type Asked = { deps: Deps; actor: Actor; entries: DoneEntry[] };
type Found = { status: number; body: unknown };

const after = (subject: string, kind: string) => subject.slice(`${kind}/`.length);

async function version({ deps, actor, entries: [{ subject }] }: Asked) {
  const [, dataset, , number] = subject.split('/');
  return await getVersion(deps, actor, { dataset, number: Number(number) });
}

async function ruleSet({ deps, actor, entries: [{ subject, detail }] }: Asked) {
  const dataset = String(detail.dataset);
  return await getRuleSet(deps, actor, { dataset, ruleSet: after(subject, 'rule-set') });
}

async function approval({ deps, actor, entries: [{ subject, detail }] }: Asked) {
  const all = await pageOfApprovals(deps, actor, { snapshot: after(subject, 'snapshot') });
  return all.find(({ id }) => id === detail.approval);
}

async function withdrawal({ deps, actor, entries: [{ subject, detail }] }: Asked) {
  const [, dataset] = subject.split('/');
  return await getWithdrawn(deps, actor, { dataset, caseId: String(detail.caseId) });
}

async function delivery({ deps, actor, entries: [{ subject, detail }] }: Asked) {
  const names = { id: after(subject, 'webhook'), delivery: String(detail.delivery) };
  return await getDelivery(deps, actor, names);
}

async function job({ deps, actor, entries: [{ subject }] }: Asked): Promise<Job> {
  return await getJob(deps, actor, after(subject, 'job'));
}

async function launched({ deps, actor, entries }: Asked): Promise<Found> {
  const items = await Promise.all(entries.map((entry) => job({ deps, actor, entries: [entry] })));
  const { batch, target } = items[0];
  const status = waitsForAgents(deps, target) ? 202 : 201;
  return { status, body: batch === null ? items[0] : { batch, items } };
}

/** With what status a reading is answered. */
const as = (status: number, read: (asked: Asked) => Promise<unknown>) => async (asked: Asked) => ({
  status,
  body: await read(asked),
});

/**
 * Every route whose POST writes audit entries. `again`: the same request finds what it made.
 * `secret`: what it made cannot be shown a second time.
 */
export const recoveries: Record<string, ((asked: Asked) => Promise<Found>) | 'again' | 'secret'> = {
  'POST /v1/datasets': as(201, ({ deps, actor, entries: [{ subject }] }) =>
    getDataset(deps, actor, after(subject, 'dataset')),
  ),
  'POST /v1/datasets/{dataset}/versions': as(201, version),
  'POST /v1/datasets/{dataset}/versions/{n}/commit': as(200, version),
  'POST /v1/datasets/{dataset}/rule-sets': as(201, ruleSet),
  'POST /v1/datasets/{dataset}/rule-sets/copy': as(201, async (asked) => ({
    ...(await ruleSet(asked)),
    copiedFrom: asked.entries[0].detail.copiedFrom,
  })),
  'POST /v1/datasets/{dataset}/snapshots': 'again',
  'POST /v1/datasets/{dataset}/withdrawals': as(201, withdrawal),
  'POST /v1/snapshots/{snapshot}/approvals': as(201, approval),
  'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke': as(200, approval),
  'POST /v1/jobs': launched,
  'POST /v1/jobs/{id}/cancel': as(200, job),
  'POST /v1/jobs/{id}/retry': as(200, job),
  'POST /v1/tokens': 'secret',
  'POST /v1/workspaces': 'secret',
  'POST /v1/github/policies': as(201, ({ deps, actor, entries: [{ subject }] }) =>
    getGithubPolicy(deps, actor, after(subject, 'github-policy')),
  ),
  'POST /v1/webhooks': 'secret',
  'POST /v1/webhooks/{id}/enable': as(200, ({ deps, actor, entries: [{ subject }] }) =>
    getWebhook(deps, actor, after(subject, 'webhook')),
  ),
  'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver': as(200, delivery),
};

/** Answers what a request has done already; throws `conflict` for a route that has no row here. */
export const recovered: Recover<DoneEntry> = async (c, entries) => {
  const recovery = recoveries[routeOf(c) ?? ''];
  if (recovery === undefined) {
    const done = entries.map(({ action, subject }) => `${action} ${subject}`).join(', ');
    throw new ProblemError(
      'conflict',
      `The request with this Idempotency-Key was done, and its answer was lost. It did: ${done}.`,
    );
  }
  if (typeof recovery === 'string') return recovery;
  return await recovery({ deps: c.get('deps'), actor: c.get('actor'), entries });
};
