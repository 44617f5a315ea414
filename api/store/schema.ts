// The tables of migrations/0001_core.sql and 0005_audit_anchors.sql as drizzle sees them.
// The SQL is the truth: a test compares the two, so a column added there and forgotten here fails.

import {
  bigint,
  doublePrecision,
  integer,
  jsonb,
  pgTable,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import type { Diagnostics, ExcludedCase, SnapshotHeader } from '../contract/snapshots.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

export const workspaces = pgTable('workspaces', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  createdAt: instant('created_at').notNull(),
});

export const tokens = pgTable('tokens', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  name: text('name').notNull(),
  actor: text('actor').notNull(),
  role: text('role').notNull(),
  secretDigest: text('secret_digest').notNull(),
  createdAt: instant('created_at').notNull(),
  expiresAt: instant('expires_at'),
  revokedAt: instant('revoked_at'),
  lastUsedAt: instant('last_used_at'),
});

export const datasets = pgTable('datasets', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  name: text('name').notNull(),
  description: text('description'),
  labels: jsonb('labels').$type<Record<string, number | number[]>>(),
  channels: jsonb('channels').$type<Record<string, string>>(),
  subjectAttribute: text('subject_attribute'),
  attributes: jsonb('attributes').$type<AttributeMap>().notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const datasetVersions = pgTable('dataset_versions', {
  datasetId: text('dataset_id').notNull(),
  number: integer('number').notNull(),
  state: text('state').$type<'draft' | 'committed' | 'discarded'>().notNull(),
  base: integer('base'),
  reason: text('reason').notNull(),
  attributes: jsonb('attributes').$type<AttributeMap>(),
  digest: text('digest'),
  caseCount: integer('case_count'),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  committedAt: instant('committed_at'),
  committedBy: text('committed_by'),
});

export const cases = pgTable('cases', {
  datasetId: text('dataset_id').notNull(),
  ordinal: integer('ordinal').notNull(),
  caseId: text('case_id').notNull(),
  validFrom: integer('valid_from').notNull(),
  validTo: integer('valid_to'),
  attributes: jsonb('attributes').$type<Record<string, unknown>>().notNull(),
  files: jsonb('files').$type<{ path: string; sha256: string }[]>().notNull(),
});

export const uploadParts = pgTable('upload_parts', {
  datasetId: text('dataset_id').notNull(),
  number: integer('number').notNull(),
  part: integer('part').notNull(),
  bodyDigest: text('body_digest').notNull(),
  answer: jsonb('answer').notNull(),
});

export const splits = pgTable('splits', {
  datasetId: text('dataset_id').notNull(),
  number: integer('number').notNull(),
  name: text('name').notNull(),
  fold: integer('fold').notNull(),
  train: integer('train').array().notNull(),
  val: integer('val').array().notNull(),
});

export const ruleSets = pgTable('rule_sets', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  datasetId: text('dataset_id').notNull(),
  name: text('name').notNull(),
  version: integer('version').notNull(),
  rules: jsonb('rules').$type<RuleDocument>().notNull(),
  digest: text('digest').notNull(),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const snapshots = pgTable('snapshots', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  datasetId: text('dataset_id').notNull(),
  version: integer('version').notNull(),
  split: text('split').notNull(),
  fold: text('fold').notNull(),
  ruleSetId: text('rule_set_id').notNull(),
  parentId: text('parent_id'),
  digest: text('digest').notNull(),
  inputDigest: text('input_digest').notNull(),
  header: jsonb('header').$type<SnapshotHeader>().notNull(),
  diagnostics: jsonb('diagnostics').$type<Diagnostics>().notNull(),
  excluded: jsonb('excluded').$type<ExcludedCase[]>().notNull(),
  withdrawn: jsonb('withdrawn').$type<{ id: string; reason: string }[]>().notNull(),
  scoresDigest: text('scores_digest'),
  batchId: text('batch_id'),
  reason: text('reason').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const snapshotChunks = pgTable('snapshot_chunks', {
  snapshotId: text('snapshot_id').notNull(),
  chunk: integer('chunk').notNull(),
  ordinals: integer('ordinals').array().notNull(),
  targetUnits: bigint('target_units', { mode: 'bigint' }).array().notNull(),
  drawUnits: bigint('draw_units', { mode: 'bigint' }).array().notNull(),
  lossFactors: doublePrecision('loss_factors').array().notNull(),
  scores: doublePrecision('scores').array().notNull(),
  digest: text('digest'),
  ids: text('ids').notNull(),
});

export const snapshotOrigins = pgTable('snapshot_origins', {
  snapshotId: text('snapshot_id').primaryKey(),
  jobId: text('job_id').notNull(),
  share: doublePrecision('share'),
  losses: doublePrecision('losses').array(),
  seen: bigint('seen', { mode: 'number' }).array(),
  sourceId: text('source_id'),
});

export const idempotencyKeys = pgTable('idempotency_keys', {
  workspaceId: text('workspace_id').notNull(),
  key: text('key').notNull(),
  requestDigest: text('request_digest').notNull(),
  status: integer('status'),
  answer: text('answer'),
  createdAt: instant('created_at').notNull(),
  claim: text('claim'),
  claimedUntil: instant('claimed_until'),
  /** Sequences of the audit entries that the request has written. */
  entries: bigint('entries', { mode: 'number' }).array().notNull(),
});

export const rateCounters = pgTable('rate_counters', {
  key: text('key').primaryKey(),
  freeAt: instant('free_at').notNull(),
});

export const auditEntries = pgTable('audit_entries', {
  workspaceId: text('workspace_id').notNull(),
  sequence: bigint('sequence', { mode: 'number' }).notNull(),
  at: instant('at').notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  subject: text('subject').notNull(),
  text: text('text').notNull(),
  previousHash: text('previous_hash').notNull(),
  hash: text('hash').notNull(),
});

export const auditAnchors = pgTable('audit_anchors', {
  workspaceId: text('workspace_id').notNull(),
  at: instant('at').notNull(),
  sequence: bigint('sequence', { mode: 'number' }).notNull(),
  hash: text('hash').notNull(),
  target: text('target').notNull(),
});
