// Deliveries: what is due, what became of a try, what is so old that it is forgotten. No lock and
// no transaction is held while something is sent: a webhook is taken for a while instead.

import { and, asc, desc, eq, inArray, lt, lte, sql } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { webhookDeliveries, webhooks } from './schema-webhooks.ts';
import type { WebhookRow } from './webhooks.ts';

export type DeliveryRow = typeof webhookDeliveries.$inferSelect;
export type NewDelivery = Omit<DeliveryRow, 'number'>;

type Key = { workspaceId: string; webhookId: string; id: string };

/**
 * Takes the webhooks that have something due and rest no longer, for the caller alone until
 * `until`: those that waited longest. One statement, which skips what another process is taking.
 */
export async function moveWebhooksToTaken(
  orm: Orm,
  { now, until, limit }: { now: Date; until: Date; limit: number },
): Promise<WebhookRow[]> {
  const at = now.toISOString();
  const taken = await rows<{ id: string }>(
    orm,
    sql`with due as materialized (
        select w.id from webhooks w
        where w.state = 'active' and (w.resting_until is null or w.resting_until <= ${at}::timestamptz)
          and exists (select 1 from webhook_deliveries d where d.webhook_id = w.id
            and d.state = 'pending' and d.due_at <= ${at}::timestamptz)
        order by w.resting_until nulls first limit ${limit}
        for update of w skip locked)
      update webhooks set resting_until = ${until.toISOString()}::timestamptz
      from due where webhooks.id = due.id returning webhooks.id`,
  );
  if (taken.length === 0) return [];
  const ids = taken.map(({ id }) => id);
  return await orm.select().from(webhooks).where(inArray(webhooks.id, ids));
}

/** Lets go of a webhook that was taken until `taken`; nobody sends to it until `until`. */
export async function moveWebhookToResting(
  orm: Orm,
  { id, taken, until }: { id: string; taken: Date; until: Date },
): Promise<void> {
  await orm
    .update(webhooks)
    .set({ restingUntil: until })
    .where(and(eq(webhooks.id, id), eq(webhooks.restingUntil, taken)));
}

/** What is due for a webhook, in the order in which it happened. */
export async function listDueDeliveries(
  orm: Orm,
  { webhookId, now, limit }: { webhookId: string; now: Date; limit: number },
): Promise<DeliveryRow[]> {
  return await orm
    .select()
    .from(webhookDeliveries)
    .where(
      and(
        eq(webhookDeliveries.webhookId, webhookId),
        eq(webhookDeliveries.state, 'pending'),
        lte(webhookDeliveries.dueAt, now),
      ),
    )
    .orderBy(asc(webhookDeliveries.number))
    .limit(limit);
}

export type Tried = Pick<
  DeliveryRow,
  'state' | 'dueAt' | 'attempts' | 'lastStatus' | 'lastFailure'
> & { at: Date };

/**
 * Stores what became of a try, of the delivery and of its webhook's health. False where somebody
 * else stored another try meanwhile: then that one counts.
 */
export async function moveDelivery(
  orm: Orm,
  { number, webhookId, attempts }: DeliveryRow,
  { at, ...tried }: Tried,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(webhookDeliveries)
      .set({ ...tried, attemptedAt: at })
      .where(
        and(
          eq(webhookDeliveries.number, number),
          eq(webhookDeliveries.state, 'pending'),
          eq(webhookDeliveries.attempts, attempts),
        ),
      )
      .returning({ number: webhookDeliveries.number });
    if (moved.length === 0) return false;
    const health =
      tried.state === 'delivered'
        ? { lastDeliveredAt: at, failingSince: null }
        : {
            lastFailedAt: at,
            lastFailure: tried.lastFailure,
            failingSince: sql`coalesce(${webhooks.failingSince}, ${at.toISOString()}::timestamptz)`,
          };
    await tx.update(webhooks).set(health).where(eq(webhooks.id, webhookId));
    return true;
  });
}

/** Adds a delivery that tells of no audit entry. */
export async function insertDelivery(orm: Orm, row: NewDelivery): Promise<DeliveryRow> {
  const [added] = await orm.insert(webhookDeliveries).values(row).returning();
  return added;
}

const isKey = ({ workspaceId, webhookId, id }: Key) =>
  and(
    eq(webhookDeliveries.workspaceId, workspaceId),
    eq(webhookDeliveries.webhookId, webhookId),
    eq(webhookDeliveries.id, id),
  );

export async function findDelivery(orm: Orm, key: Key): Promise<DeliveryRow | undefined> {
  const [row] = await orm.select().from(webhookDeliveries).where(isKey(key));
  return row;
}

/** Deliveries of a webhook, newest first, before number `before`. */
export async function listDeliveries(
  orm: Orm,
  query: {
    workspaceId: string;
    webhookId: string;
    state?: DeliveryRow['state'];
    before?: number;
    limit: number;
  },
): Promise<DeliveryRow[]> {
  return await orm
    .select()
    .from(webhookDeliveries)
    .where(
      and(
        eq(webhookDeliveries.workspaceId, query.workspaceId),
        eq(webhookDeliveries.webhookId, query.webhookId),
        query.state === undefined ? undefined : eq(webhookDeliveries.state, query.state),
        query.before === undefined ? undefined : lt(webhookDeliveries.number, query.before),
      ),
    )
    .orderBy(desc(webhookDeliveries.number))
    .limit(query.limit);
}

/** Makes a delivery due again, with all its tries before it. */
export async function moveDeliveryToPending(
  orm: Orm,
  { at, ...key }: Key & { at: Date },
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await appendAudit(tx, audit);
    await tx
      .update(webhookDeliveries)
      .set({ state: 'pending', attempts: 0, dueAt: at })
      .where(isKey(key));
  });
}

/** Forgets deliveries that were made before a time, whatever became of them; up to `limit`. */
export async function deleteOldDeliveries(
  orm: Orm,
  { before, limit }: { before: Date; limit: number },
): Promise<number> {
  const gone = await rows<{ number: number }>(
    orm,
    sql`delete from webhook_deliveries where number in (
        select number from webhook_deliveries where created_at < ${before.toISOString()}::timestamptz
        order by created_at limit ${limit} for update skip locked)
      returning number`,
  );
  return gone.length;
}
