// One try to deliver, and what follows from it: delivered, another try later, or dead; a webhook
// that is gone for good is disabled.

import { pingType } from '../../contract/webhooks.ts';
import type { Deps } from '../../deps.ts';
import { type DeliveryRow, moveDelivery } from '../../store/webhook-deliveries.ts';
import { moveWebhookToDisabled, type WebhookRow } from '../../store/webhooks.ts';
import { signedHeaders } from './secrets.ts';
import { type Answer, checkedAddresses, urlOf, type Webhooks } from './transport.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** How long a receiver may take to answer. */
export const timeoutMs = 10 * second;
/** Pauses after the first failure, the second, ...: ten tries in 21 hours, and jitter. */
export const pausesMs = [
  5 * second,
  30 * second,
  2 * minute,
  10 * minute,
  30 * minute,
  hour,
  3 * hour,
  6 * hour,
  10 * hour,
];
const jitter = 0.2;
const longestRetryAfterMs = 24 * hour;
/** A receiver that is not well is left alone for a while, whatever else is due for it. */
const longestRestMs = minute;
/** When nothing arrived for so long and another delivery is dead, the webhook is disabled. */
export const failingForMs = 5 * 24 * hour;
const shownCharacters = 200;

export type Outcome =
  | { delivered: true; status: number }
  | {
      delivered: false;
      status: number | null;
      /** In words. */
      failure: string;
      retryAfterMs: number;
      /** Whether the receiver, and not this one event, is what failed. */
      unwell: boolean;
    };

const gone = 410;
const unwellStatuses = new Set([429, 500, 502, 503, 504]);

/** Text as it can be kept and shown: one line, no control characters, not long. */
export function shownText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\s\p{Surrogate}]+/gu, ' ').trim();
  const characters = [...line];
  if (characters.length <= shownCharacters) return characters.join('');
  return `${characters.slice(0, shownCharacters - 1).join('')}…`;
}

/** Milliseconds that `Retry-After` asks for, of seconds or a date; 0 where it cannot be read. */
export function retryAfterOf(text: string | null, now: Date): number {
  const asked = /^\d+$/.test(text ?? '')
    ? Number(text) * second
    : Date.parse(text ?? '') - now.getTime();
  return Math.min(Math.max(asked || 0, 0), longestRetryAfterMs);
}

/** Sends once; nothing is stored and nothing thrown. */
export async function sendOnce(
  deps: Deps,
  { box, send, ...surroundings }: Webhooks,
  { webhook, delivery }: { webhook: WebhookRow; delivery: DeliveryRow },
): Promise<Outcome> {
  try {
    const url = urlOf(webhook.url);
    const secret = await box.open({ id: webhook.id, sealed: webhook.secret });
    const addresses = await checkedAddresses(surroundings, url);
    const { id, body } = delivery;
    const headers = {
      'content-type': 'application/json',
      'user-agent': `Counterweight/${deps.version}`,
      ...(await signedHeaders({ secret, id, body, at: deps.now() })),
    };
    return outcomeOf(await send({ url, addresses, headers, body, timeoutMs }), deps.now());
  } catch (cause) {
    const failure = shownText((cause as Error).message);
    return { delivered: false, status: null, failure, retryAfterMs: 0, unwell: true };
  }
}

function outcomeOf({ status, retryAfter, text }: Answer, now: Date): Outcome {
  if (status >= 200 && status < 300) return { delivered: true, status };
  const said = text.trim() === '' ? '' : `: ${text}`;
  const words =
    status >= 300 && status < 400
      ? `answered ${status}: redirects are not followed, so make the webhook with the address that it leads to`
      : `answered ${status}${said}`;
  return {
    delivered: false,
    status,
    failure: shownText(words),
    retryAfterMs: retryAfterOf(retryAfter, now),
    unwell: unwellStatuses.has(status),
  };
}

/** The pause after so many tries, longer by up to a fifth at random. */
function pauseMs({ randomBytes }: Deps, attempts: number): number {
  const share = randomBytes(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32;
  return Math.round(pausesMs[attempts - 1] * (1 + jitter * share));
}

/**
 * Stores what came of a try. Answers for how long nothing is to be sent to this webhook, or null
 * where it was disabled.
 */
export async function storeOutcome(
  deps: Deps,
  { webhook, delivery }: { webhook: WebhookRow; delivery: DeliveryRow },
  outcome: Outcome,
): Promise<number | null> {
  const at = deps.now();
  const attempts = delivery.attempts + 1;
  const { status: lastStatus } = outcome;
  const { orm } = deps.database;
  if (outcome.delivered) {
    const dueAt = delivery.dueAt;
    const tried = {
      state: 'delivered',
      at,
      attempts,
      dueAt,
      lastStatus,
      lastFailure: null,
    } as const;
    await moveDelivery(orm, delivery, tried);
    return 0;
  }
  const { failure: lastFailure, retryAfterMs, unwell } = outcome;
  const ends = attempts > pausesMs.length || delivery.type === pingType || lastStatus === gone;
  const waitMs = ends ? 0 : Math.max(pauseMs(deps, attempts), retryAfterMs);
  const dueAt = new Date(at.getTime() + waitMs);
  const state = ends ? 'dead' : 'pending';
  await moveDelivery(orm, delivery, { state, at, attempts, dueAt, lastStatus, lastFailure });
  const because = ends ? reasonToDisable(webhook, delivery, { lastStatus, at }) : null;
  if (because !== null) {
    await disable(deps, webhook, { because, lastFailure });
    return null;
  }
  return Math.max(retryAfterMs, unwell ? Math.min(waitMs || longestRestMs, longestRestMs) : 0);
}

function reasonToDisable(
  { failingSince }: WebhookRow,
  { type }: DeliveryRow,
  { lastStatus, at }: { lastStatus: number | null; at: Date },
): string | null {
  if (lastStatus === gone) return 'it answered 410 Gone: it wants no more';
  const failing = failingSince !== null && at.getTime() - failingSince.getTime() > failingForMs;
  if (!failing || type === pingType) return null;
  return `nothing has arrived since ${failingSince.toISOString()}`;
}

async function disable(
  deps: Deps,
  { id, workspaceId, url }: WebhookRow,
  { because, lastFailure }: { because: string; lastFailure: string },
): Promise<void> {
  const at = deps.now();
  const host = new URL(url).host;
  const moved = await moveWebhookToDisabled(
    deps.database.orm,
    { workspaceId, id, at, because },
    {
      workspaceId,
      at,
      actor: 'service',
      action: 'webhook.disabled',
      subject: `webhook/${id}`,
      reason: because,
      detail: { host, lastFailure },
    },
  );
  if (moved) deps.log('warn', 'a webhook was disabled', { webhook: id, host, because });
}
