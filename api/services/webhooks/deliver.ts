// The tick: takes webhooks that have something due, one process at a time each, and sends what is
// due in the order in which it happened. Webhooks go side by side, so a slow one holds up itself.

import type { Deps } from '../../deps.ts';
import {
  deleteOldDeliveries,
  listDueDeliveries,
  moveWebhooksToTaken,
  moveWebhookToResting,
} from '../../store/webhook-deliveries.ts';
import type { WebhookRow } from '../../store/webhooks.ts';
import { sendOnce, storeOutcome, timeoutMs } from './attempt.ts';
import type { Webhooks } from './transport.ts';

const webhooksAtOnce = 10;
const deliveriesAtOnce = 50;
/** How long one turn goes on taking up deliveries; the last one may take its time-out more. */
const turnMs = 20_000;
/** After so long another process may take the webhook: whoever had it was killed. */
export const takenForMs = turnMs + 4 * timeoutMs;
/** Deliveries are shown for so long. */
export const keptForMs = 30 * 86_400_000;
const forgottenAtOnce = 1_000;

/** Sends everything that is due now, or as much of it as one turn holds. */
export async function deliverWebhooks(deps: Deps): Promise<void> {
  await Promise.all(await startDelivering(deps));
}

/**
 * Begins what `deliverWebhooks` does and answers one promise per webhook, so that a caller with a
 * clock need not wait for a receiver that hangs.
 */
export async function startDelivering(deps: Deps): Promise<Promise<void>[]> {
  const { webhooks } = deps;
  if (webhooks === undefined) return [];
  const now = deps.now();
  const until = new Date(now.getTime() + takenForMs);
  const query = { now, until, limit: webhooksAtOnce };
  const taken = await moveWebhooksToTaken(deps.database.orm, query);
  return taken.map((webhook) => turnOf(deps, webhooks, { webhook, until }));
}

async function turnOf(
  deps: Deps,
  webhooks: Webhooks,
  { webhook, until: taken }: { webhook: WebhookRow; until: Date },
): Promise<void> {
  const { orm } = deps.database;
  const began = deps.now();
  const due = { webhookId: webhook.id, now: began, limit: deliveriesAtOnce };
  let restMs: number | null = 0;
  for (const delivery of await listDueDeliveries(orm, due)) {
    const one = { webhook, delivery };
    const outcome = await sendOnce(deps, webhooks, one);
    restMs = await storeOutcome(deps, one, outcome);
    if (restMs !== 0 || deps.now().getTime() - began.getTime() > turnMs) break;
  }
  if (restMs === null) return; // disabled
  const until = new Date(deps.now().getTime() + restMs);
  await moveWebhookToResting(orm, { id: webhook.id, taken, until });
}

/** Forgets deliveries of long ago, a thousand at a call. */
export async function forgetDeliveries(deps: Deps): Promise<void> {
  const before = new Date(deps.now().getTime() - keptForMs);
  await deleteOldDeliveries(deps.database.orm, { before, limit: forgottenAtOnce });
}
