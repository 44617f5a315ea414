// Webhooks as people manage them. Whoever changes one takes the lock of the chain first, as
// whoever writes deliveries does: none is written for a webhook that is going.

import { and, asc, count, eq, gt, inArray, ne } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit, lockChain } from './audit.ts';
import type { Orm } from './database.ts';
import { webhookDeliveries, webhooks } from './schema-webhooks.ts';

export type WebhookRow = typeof webhooks.$inferSelect;

type Key = { workspaceId: string; id: string };

const isKey = ({ workspaceId, id }: Key) =>
  and(eq(webhooks.workspaceId, workspaceId), eq(webhooks.id, id));

/** Adds a webhook, which is not told of itself. Throws `conflict` where `most` are there. */
export async function insertWebhook(
  orm: Orm,
  { row, most }: { row: WebhookRow; most: number },
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await appendAudit(tx, audit);
    const [{ there }] = await tx
      .select({ there: count() })
      .from(webhooks)
      .where(eq(webhooks.workspaceId, row.workspaceId));
    if (there >= most) {
      throw new ProblemError(
        'conflict',
        `This workspace has ${there} webhooks, and ${most} is the limit: remove one first.`,
      );
    }
    await tx.insert(webhooks).values(row);
  });
}

export async function findWebhook(orm: Orm, key: Key): Promise<WebhookRow | undefined> {
  const [row] = await orm.select().from(webhooks).where(isKey(key));
  return row;
}

/** Webhooks of a workspace in the order they were made. */
export async function listWebhooks(
  orm: Orm,
  { workspaceId, after, limit }: { workspaceId: string; after?: string; limit: number },
): Promise<WebhookRow[]> {
  return await orm
    .select()
    .from(webhooks)
    .where(and(eq(webhooks.workspaceId, workspaceId), gt(webhooks.id, after ?? '')))
    .orderBy(asc(webhooks.id))
    .limit(limit);
}

/** How many deliveries of each webhook wait, and how many are dead. */
export async function countOpenDeliveries(
  orm: Orm,
  ids: string[],
): Promise<{ webhookId: string; state: string; deliveries: number }[]> {
  if (ids.length === 0) return [];
  const { webhookId, state } = webhookDeliveries;
  return await orm
    .select({ webhookId, state, deliveries: count() })
    .from(webhookDeliveries)
    .where(and(inArray(webhookId, ids), ne(state, 'delivered')))
    .groupBy(webhookId, state);
}

/** Removes a webhook with everything that it was or would be sent; false where it is gone. */
export async function deleteWebhook(orm: Orm, key: Key, audit: AuditEntry): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    await lockChain(tx, key.workspaceId);
    const gone = await tx.delete(webhooks).where(isKey(key)).returning({ id: webhooks.id });
    if (gone.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/** Ends sending: what waits is dead. False where the webhook was disabled before or is gone. */
export async function moveWebhookToDisabled(
  orm: Orm,
  { at, because, ...key }: Key & { at: Date; because: string },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    await lockChain(tx, key.workspaceId);
    const moved = await tx
      .update(webhooks)
      .set({ state: 'disabled', disabledAt: at, disabledBecause: because })
      .where(and(isKey(key), eq(webhooks.state, 'active')))
      .returning({ id: webhooks.id });
    if (moved.length === 0) return false;
    await tx
      .update(webhookDeliveries)
      .set({ state: 'dead', lastFailure: 'the webhook was disabled before this could be sent' })
      .where(and(eq(webhookDeliveries.webhookId, key.id), eq(webhookDeliveries.state, 'pending')));
    await appendAudit(tx, audit);
    return true;
  });
}

/** Begins sending again, with events from this one on; false where it was active or is gone. */
export async function moveWebhookToActive(orm: Orm, key: Key, audit: AuditEntry): Promise<boolean> {
  const cleared = {
    disabledAt: null,
    disabledBecause: null,
    failingSince: null,
    restingUntil: null,
  };
  return await orm.transaction(async (tx) => {
    await lockChain(tx, key.workspaceId);
    const moved = await tx
      .update(webhooks)
      .set({ state: 'active', ...cleared })
      .where(and(isKey(key), eq(webhooks.state, 'disabled')))
      .returning({ id: webhooks.id });
    if (moved.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}
