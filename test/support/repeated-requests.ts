// Requests that are repeated under their Idempotency-Key, and what they made, as it can be counted:
// those of who works in a deployment, whom it trusts and whom it tells.

import { sql } from 'drizzle-orm';
import type { TestApp } from './app.ts';
import { must } from './builders.ts';
import { policyBody } from './github.ts';

export type Request = { path: string; body: unknown; token?: string };
export type Scenario = {
  /** Makes what the request needs, under a name of its own. */
  of: (name: string) => Promise<Request> | Request;
  /** What such a request has made, as it can be counted: one afterwards, none before. */
  made: (name: string, request: Request) => Promise<unknown[]>;
  status?: number;
};

type Given = {
  api: () => TestApp;
  itemsOf: (path: string) => Promise<any[]>;
  audited: (action: string, subject: string) => Promise<any[]>;
};

const hookFor = (name: string) => ({
  url: `https://${name.toLowerCase()}.example.org/`,
  events: ['alias.moved'],
  reason: name,
});

function hooksOf({ api, itemsOf }: Given) {
  const hooksFor = async (name: string) =>
    (await itemsOf('/v1/webhooks?limit=500')).filter(({ url }) => url === hookFor(name).url);

  /** A webhook, the only one: a workspace has twenty at most. */
  async function hook(name: string): Promise<string> {
    for (const { id } of await itemsOf('/v1/webhooks?limit=500')) {
      await must(api(), 200, 'DELETE', `/v1/webhooks/${id}`);
    }
    return `/v1/webhooks/${(await must(api(), 201, 'POST', '/v1/webhooks', hookFor(name))).id}`;
  }

  async function disabledHook(name: string): Promise<string> {
    const path = await hook(name);
    const state = sql`update webhooks set state = 'disabled', disabled_at = now(),
      disabled_because = 'it was away' where url = ${hookFor(name).url}`;
    await api().database.orm.execute(state);
    return path;
  }
  return { hooksFor, hook, disabledHook };
}

/** Scenarios by route. */
export function toldScenarios(given: Given): Record<string, Scenario> {
  const { api, itemsOf, audited } = given;
  const { hooksFor, hook, disabledHook } = hooksOf(given);
  return {
    'POST /v1/workspaces': {
      of: (name) => ({ path: '/v1/workspaces', body: { name, actor: 'someone' } }),
      made: async (name) =>
        (await itemsOf('/v1/workspaces?limit=500')).filter((w) => w.name === name),
    },
    'POST /v1/github/policies': {
      of: (name) => ({ path: '/v1/github/policies', body: { ...policyBody, reason: name } }),
      made: async (name) =>
        (await itemsOf('/v1/github/policies?limit=500')).filter((p) => p.reason === name),
    },
    'POST /v1/webhooks': {
      of: (name) => ({ path: '/v1/webhooks', body: hookFor(name) }),
      made: async (name) => await hooksFor(name),
    },
    'POST /v1/webhooks/{id}/enable': {
      of: async (name) => ({ path: `${await disabledHook(name)}/enable`, body: { reason: name } }),
      made: async (name) => audited('webhook.enabled', `webhook/${(await hooksFor(name))[0].id}`),
      status: 200,
    },
    'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver': {
      of: async (name) => {
        const path = await hook(name);
        const { id } = await must(api(), 200, 'POST', `${path}/test`);
        return { path: `${path}/deliveries/${id}/redeliver`, body: {} };
      },
      made: async (name) =>
        audited('webhook.redelivered', `webhook/${(await hooksFor(name))[0].id}`),
      status: 200,
    },
  };
}
