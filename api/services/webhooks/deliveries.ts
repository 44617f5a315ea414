// Deliveries as people see and repair them: list, send again, try the address.

import { type DeliveryState, pingType, type WebhookDelivery } from '../../contract/webhooks.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import {
  type DeliveryRow,
  findDelivery,
  insertDelivery,
  listDeliveries,
  moveDeliveryToPending,
} from '../../store/webhook-deliveries.ts';
import { entryOf } from '../entries.ts';
import { sendOnce, storeOutcome } from './attempt.ts';
import { requireWebhook, requireWebhooks } from './manage.ts';

/** After so long the tick takes up a ping whose request was cut off. */
const pingOwnedMs = 60_000;

function deliveryView(row: DeliveryRow): WebhookDelivery {
  const { id, type, sequence, state, attempts, lastStatus, lastFailure } = row;
  return {
    id,
    type,
    sequence,
    state,
    attempts,
    createdAt: row.createdAt.toISOString(),
    attemptedAt: row.attemptedAt?.toISOString() ?? null,
    dueAt: state === 'pending' ? row.dueAt.toISOString() : null,
    lastStatus,
    lastFailure,
  };
}

/** Deliveries of a webhook, newest first, each with the number that orders them. */
export async function pageOfDeliveries(
  deps: Deps,
  actor: Actor,
  { id, ...query }: { id: string; state?: DeliveryState; before?: number; limit: number },
) {
  await requireWebhook(deps, actor, id);
  const of = { workspaceId: actor.workspaceId, webhookId: id, ...query };
  const found = await listDeliveries(deps.database.orm, of);
  return found.map((row) => ({ number: row.number, view: deliveryView(row) }));
}

async function requireDelivery(
  deps: Deps,
  { workspaceId }: Actor,
  { id, delivery }: { id: string; delivery: string },
): Promise<DeliveryRow> {
  const key = { workspaceId, webhookId: id, id: delivery };
  const row = await findDelivery(deps.database.orm, key);
  if (row !== undefined) return row;
  throw new ProblemError(
    'not-found',
    `There is no delivery "${delivery}" of this webhook; they are kept for 30 days. GET /v1/webhooks/${id}/deliveries lists them.`,
  );
}

/**
 * Makes a delivery due now, with all its tries before it; under its old id, so that a receiver that
 * had it knows it. Throws `conflict` where the webhook is disabled.
 */
export async function redeliver(
  deps: Deps,
  actor: Actor,
  input: { id: string; delivery: string },
): Promise<WebhookDelivery> {
  requireWebhooks(deps);
  const { id, state, disabledBecause } = await requireWebhook(deps, actor, input.id);
  const { id: deliveryId, type, state: before } = await requireDelivery(deps, actor, input);
  if (state === 'disabled') {
    throw new ProblemError(
      'conflict',
      `The webhook is disabled (${disabledBecause}): enable it with POST /v1/webhooks/${id}/enable, then send this again.`,
    );
  }
  const at = deps.now();
  const entry = entryOf(deps, actor, {
    action: 'webhook.redelivered',
    subject: `webhook/${id}`,
    detail: { delivery: deliveryId, type, state: before },
    at,
  });
  const key = { workspaceId: actor.workspaceId, webhookId: id, id: deliveryId };
  await moveDeliveryToPending(deps.database.orm, { ...key, at }, entry);
  return deliveryView(await requireDelivery(deps, actor, input));
}

/** One delivery of a webhook. Throws `not-found`. */
export async function getDelivery(
  deps: Deps,
  actor: Actor,
  input: { id: string; delivery: string },
): Promise<WebhookDelivery> {
  return deliveryView(await requireDelivery(deps, actor, input));
}

/** Sends a ping at once, in one try, and answers what came of it. */
export async function pingWebhook(deps: Deps, actor: Actor, id: string): Promise<WebhookDelivery> {
  const webhooks = requireWebhooks(deps);
  const webhook = await requireWebhook(deps, actor, id);
  const at = deps.now();
  const ping = `ping_${newId(deps)}`;
  const event = {
    id: ping,
    type: pingType,
    createdAt: at.toISOString(),
    workspace: actor.workspaceId,
    sequence: null,
    actor: actor.name,
    subject: `webhook/${id}`,
    reason: null,
    data: {},
  };
  const delivery = await insertDelivery(deps.database.orm, {
    workspaceId: actor.workspaceId,
    webhookId: id,
    id: ping,
    type: pingType,
    sequence: null,
    body: JSON.stringify(event),
    state: 'pending',
    attempts: 0,
    dueAt: new Date(at.getTime() + pingOwnedMs),
    createdAt: at,
    attemptedAt: null,
    lastStatus: null,
    lastFailure: null,
  });
  const one = { webhook, delivery };
  await storeOutcome(deps, one, await sendOnce(deps, webhooks, one));
  return deliveryView(await requireDelivery(deps, actor, { id, delivery: ping }));
}
