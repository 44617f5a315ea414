// The tables of migrations/0003_teams.sql as drizzle sees them.

import { boolean, integer, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

export const withdrawals = pgTable('withdrawals', {
  workspaceId: text('workspace_id').notNull(),
  datasetId: text('dataset_id').notNull(),
  caseId: text('case_id').notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const approvals = pgTable('approvals', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  snapshotId: text('snapshot_id').notNull(),
  snapshotDigest: text('snapshot_digest').notNull(),
  meaning: text('meaning').notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const approvalRevocations = pgTable('approval_revocations', {
  approvalId: text('approval_id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const aliasMoves = pgTable('alias_moves', {
  workspaceId: text('workspace_id').notNull(),
  datasetId: text('dataset_id').notNull(),
  name: text('name').notNull(),
  number: integer('number').notNull(),
  /** Fold ("0", "1" ... or "all") to snapshot id. */
  snapshots: jsonb('snapshots').$type<Record<string, string>>().notNull(),
  protected: boolean('protected').notNull(),
  approvals: jsonb('approvals').$type<string[]>().notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});
