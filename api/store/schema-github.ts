// The tables of migrations/0015_github.sql as drizzle sees them.

import { boolean, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import type { GithubClaims, GithubEvent } from '../contract/github.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

export const githubPolicies = pgTable('github_policies', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  issuer: text('issuer').notNull(),
  repositoryId: text('repository_id').notNull(),
  repositoryOwnerId: text('repository_owner_id').notNull(),
  repository: text('repository').notNull(),
  refs: jsonb('refs').$type<string[]>().notNull(),
  events: jsonb('events').$type<GithubEvent[]>().notNull(),
  environments: jsonb('environments').$type<string[]>(),
  workflow: text('workflow'),
  datasetId: text('dataset_id').notNull(),
  aliases: jsonb('aliases').$type<string[]>().notNull(),
  targets: jsonb('targets').$type<string[]>(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  removedAt: instant('removed_at'),
  removedBy: text('removed_by'),
});

export const githubSessions = pgTable('github_sessions', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  policyId: text('policy_id').notNull(),
  issuer: text('issuer').notNull(),
  jti: text('jti').notNull(),
  secretDigest: text('secret_digest').notNull(),
  actor: text('actor').notNull(),
  claims: jsonb('claims').$type<GithubClaims>().notNull(),
  dryRunOnly: boolean('dry_run_only').notNull(),
  createdAt: instant('created_at').notNull(),
  expiresAt: instant('expires_at').notNull(),
  forgetAt: instant('forget_at').notNull(),
});
