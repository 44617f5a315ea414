// The tables of migrations/0017_webhooks.sql as drizzle sees them.

import { bigint, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import type { DeliveryState } from '../contract/webhooks.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

export const webhooks = pgTable('webhooks', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  url: text('url').notNull(),
  events: text('events').array().notNull(),
  secret: text('secret').notNull(),
  state: text('state').$type<'active' | 'disabled'>().notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  disabledAt: instant('disabled_at'),
  disabledBecause: text('disabled_because'),
  restingUntil: instant('resting_until'),
  lastDeliveredAt: instant('last_delivered_at'),
  lastFailedAt: instant('last_failed_at'),
  lastFailure: text('last_failure'),
  failingSince: instant('failing_since'),
});

export const webhookDeliveries = pgTable('webhook_deliveries', {
  number: bigint('number', { mode: 'number' }).generatedByDefaultAsIdentity().primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  webhookId: text('webhook_id').notNull(),
  id: text('id').notNull(),
  type: text('type').notNull(),
  sequence: bigint('sequence', { mode: 'number' }),
  body: text('body').notNull(),
  state: text('state').$type<DeliveryState>().notNull(),
  attempts: integer('attempts').notNull(),
  dueAt: instant('due_at').notNull(),
  createdAt: instant('created_at').notNull(),
  attemptedAt: instant('attempted_at'),
  lastStatus: integer('last_status'),
  lastFailure: text('last_failure'),
});
