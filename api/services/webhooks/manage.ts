// Webhooks of a workspace: make, list, read, enable again, remove. The path of a URL may hold a
// secret, so audit entries and logs name its host alone.

import type { CreateWebhook, MadeWebhook, Webhook } from '../../contract/webhooks.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import {
  countOpenDeliveries,
  deleteWebhook,
  findWebhook,
  insertWebhook,
  listWebhooks,
  moveWebhookToActive,
  type WebhookRow,
} from '../../store/webhooks.ts';
import { entryOf } from '../entries.ts';
import { newSigningSecret } from './secrets.ts';
import { checkedAddresses, urlOf, type Webhooks } from './transport.ts';

const mostWebhooks = 20;

/** What the deployment sends with; throws `unprocessable` where it is not set up. */
export function requireWebhooks({ webhooks }: Deps): Webhooks {
  if (webhooks !== undefined) return webhooks;
  throw new ProblemError(
    'unprocessable',
    'This deployment has no CW_WEBHOOK_KEY, under which signing secrets are kept: whoever runs it sets one ("openssl rand -base64 32") and starts it again.',
  );
}

const iso = (at: Date | null) => at?.toISOString() ?? null;

async function webhookViews({ database }: Deps, found: WebhookRow[]): Promise<Webhook[]> {
  const ids = found.map(({ id }) => id);
  const counts = await countOpenDeliveries(database.orm, ids);
  const countOf = (id: string, state: string) =>
    counts.find((one) => one.webhookId === id && one.state === state)?.deliveries ?? 0;
  return found.map((row) => ({
    id: row.id,
    url: row.url,
    events: row.events,
    state: row.state,
    reason: row.reason,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    disabledAt: iso(row.disabledAt),
    disabledBecause: row.disabledBecause,
    health: {
      lastDeliveredAt: iso(row.lastDeliveredAt),
      lastFailedAt: iso(row.lastFailedAt),
      lastFailure: row.lastFailure,
      failingSince: iso(row.failingSince),
      pending: countOf(row.id, 'pending'),
      dead: countOf(row.id, 'dead'),
    },
  }));
}

/**
 * Makes a webhook. Its secret is in this answer alone. Throws `unprocessable` for a URL that
 * webhooks may not be sent to, and where the deployment has no key for secrets.
 */
export async function createWebhook(
  deps: Deps,
  actor: Actor,
  { url: text, events, reason }: CreateWebhook,
): Promise<MadeWebhook> {
  const { box, ...surroundings } = requireWebhooks(deps);
  const url = urlOf(text);
  await checkedAddresses(surroundings, url);
  const id = newId(deps);
  const secret = newSigningSecret(deps.randomBytes);
  const row: WebhookRow = {
    id,
    workspaceId: actor.workspaceId,
    url: url.href,
    events: [...new Set(events)],
    secret: await box.seal({ id, secret, iv: deps.randomBytes(12) }),
    state: 'active',
    reason,
    createdAt: deps.now(),
    createdBy: actor.name,
    disabledAt: null,
    disabledBecause: null,
    restingUntil: null,
    lastDeliveredAt: null,
    lastFailedAt: null,
    lastFailure: null,
    failingSince: null,
  };
  const change = { action: 'webhook.created', subject: `webhook/${id}`, reason };
  const detail = { host: url.host, events: row.events };
  const entry = entryOf(deps, actor, { ...change, detail, at: row.createdAt });
  await insertWebhook(deps.database.orm, { row, most: mostWebhooks }, entry);
  const [view] = await webhookViews(deps, [row]);
  return { ...view, secret };
}

/** Webhooks of the workspace in the order they were made, with their health. */
export async function pageOfWebhooks(
  deps: Deps,
  { workspaceId }: Actor,
  query: { after?: string; limit: number },
): Promise<Webhook[]> {
  return await webhookViews(deps, await listWebhooks(deps.database.orm, { workspaceId, ...query }));
}

/** The row of a webhook; throws `not-found`. */
export async function requireWebhook(deps: Deps, actor: Actor, id: string): Promise<WebhookRow> {
  const row = await findWebhook(deps.database.orm, { workspaceId: actor.workspaceId, id });
  if (row !== undefined) return row;
  throw new ProblemError(
    'not-found',
    `There is no webhook "${id}" in this workspace. Name it by its id; GET /v1/webhooks lists them.`,
  );
}

export async function getWebhook(deps: Deps, actor: Actor, id: string): Promise<Webhook> {
  const [view] = await webhookViews(deps, [await requireWebhook(deps, actor, id)]);
  return view;
}

/** Begins sending again, with events from now on. A webhook that is active stays as it is. */
export async function enableWebhook(
  deps: Deps,
  actor: Actor,
  { id, reason }: { id: string; reason: string },
): Promise<Webhook> {
  const { url, disabledBecause } = await requireWebhook(deps, actor, id);
  const detail = { host: new URL(url).host, disabledBecause };
  const change = { action: 'webhook.enabled', subject: `webhook/${id}`, reason, detail };
  const key = { workspaceId: actor.workspaceId, id };
  await moveWebhookToActive(deps.database.orm, key, entryOf(deps, actor, change));
  return await getWebhook(deps, actor, id);
}

/** Removes a webhook, its secret, and what it was or would be sent. */
export async function removeWebhook(deps: Deps, actor: Actor, id: string): Promise<Webhook> {
  const view = await getWebhook(deps, actor, id);
  const detail = { host: new URL(view.url).host, pending: view.health.pending };
  const change = { action: 'webhook.removed', subject: `webhook/${id}`, detail };
  const key = { workspaceId: actor.workspaceId, id };
  await deleteWebhook(deps.database.orm, key, entryOf(deps, actor, change));
  return view;
}
