// The tables of migrations/0002_jobs.sql as drizzle sees them, with what later files added.

import {
  bigint,
  boolean,
  doublePrecision,
  integer,
  jsonb,
  pgTable,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import type { AgentReport } from '../contract/agents.ts';
import type { JobState, StateReason } from '../contract/jobs.ts';
import type { MonitorStates, RevertRequest } from '../contract/monitors.ts';
import type { TrainingPlan } from '../contract/plans.ts';
import type { Monitors, Resources, Settings } from '../contract/settings.ts';
import type { Finding } from '../contract/targets.ts';
import type { TrainerEnvironment } from '../contract/trainer.ts';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });
type Json = Record<string, unknown>;
/** The last observation that an agent told. */
type AgentWord = NonNullable<AgentReport['observation']>;

export const jobs = pgTable('jobs', {
  id: text('id').primaryKey(),
  workspaceId: text('workspace_id').notNull(),
  datasetId: text('dataset_id').notNull(),
  snapshotId: text('snapshot_id').notNull(),
  target: text('target').notNull(),
  image: text('image'),
  seed: bigint('seed', { mode: 'number' }).notNull(),
  settings: jsonb('settings').$type<Settings>().notNull(),
  resources: jsonb('resources').$type<Resources>().notNull(),
  monitors: jsonb('monitors').$type<Monitors>().notNull(),
  reason: text('reason').notNull(),
  state: text('state').$type<JobState>().notNull(),
  stateReason: jsonb('state_reason').$type<StateReason>(),
  attempt: integer('attempt').notNull(),
  cancelRequestedAt: instant('cancel_requested_at'),
  monitorStates: jsonb('monitor_states').$type<MonitorStates>().notNull().default({}),
  stopReason: jsonb('stop_reason').$type<StateReason>(),
  revertRequested: jsonb('revert_requested').$type<RevertRequest>(),
  validationInformed: boolean('validation_informed').notNull().default(false),
  /** How many numbers its trainers have reported: the sequence of the last one. */
  metricCount: bigint('metric_count', { mode: 'number' }).notNull().default(0),
  progress: jsonb('progress').$type<{ step: number; steps: number }>(),
  summary: jsonb('summary').$type<Json>(),
  artifacts: jsonb('artifacts').$type<Json[]>().notNull(),
  batchId: text('batch_id'),
  alias: jsonb('alias').$type<{ name: string; number: number }>(),
  github: jsonb('github').$type<{ policy: string; run: string }>(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  startedAt: instant('started_at'),
  endedAt: instant('ended_at'),
});

export const jobAttempts = pgTable('job_attempts', {
  jobId: text('job_id').notNull(),
  attempt: integer('attempt').notNull(),
  launchKey: text('launch_key').notNull(),
  state: text('state').$type<JobState>().notNull(),
  reason: jsonb('reason').$type<StateReason>(),
  tokenDigest: text('token_digest'),
  revokedAt: instant('revoked_at'),
  submitLeaseUntil: instant('submit_lease_until'),
  notBefore: instant('not_before'),
  request: jsonb('request').$type<Json>(),
  handle: jsonb('handle').$type<Json & { launchKey: string }>(),
  observation: jsonb('observation').$type<Json>(),
  finish: jsonb('finish').$type<{ outcome: 'succeeded' | 'failed'; error?: string }>(),
  environment: jsonb('environment').$type<TrainerEnvironment>(),
  plan: jsonb('plan').$type<TrainingPlan>(),
  lastSequence: integer('last_sequence').notNull(),
  lastContactAt: instant('last_contact_at'),
  missingPolls: integer('missing_polls').notNull(),
  missingSince: instant('missing_since'),
  stopToldAt: instant('stop_told_at'),
  cleanedAt: instant('cleaned_at'),
  agent: text('agent'),
  agentHeardAt: instant('agent_heard_at'),
  agentWord: jsonb('agent_word').$type<AgentWord>(),
  log: text('log').notNull().default(''),
  createdAt: instant('created_at').notNull(),
  startedAt: instant('started_at'),
  endedAt: instant('ended_at'),
});

export const agents = pgTable('agents', {
  workspaceId: text('workspace_id').notNull(),
  target: text('target').notNull(),
  name: text('name').notNull(),
  actor: text('actor').notNull(),
  version: text('version').notNull(),
  findings: jsonb('findings').$type<Finding[]>().notNull(),
  seenAt: instant('seen_at').notNull(),
});

export const jobEvents = pgTable('job_events', {
  jobId: text('job_id').notNull(),
  sequence: integer('sequence').notNull(),
  at: instant('at').notNull(),
  kind: text('kind').notNull(),
  detail: jsonb('detail').$type<Json>().notNull(),
});

/** What one report said of one series; `places` and `epochs` may be null, see the migration. */
export const metricChunks = pgTable('metric_chunks', {
  jobId: text('job_id').notNull(),
  firstSequence: bigint('first_sequence', { mode: 'number' }).notNull(),
  lastSequence: bigint('last_sequence', { mode: 'number' }).notNull(),
  attempt: integer('attempt').notNull(),
  name: text('name').notNull(),
  group: text('group_name'),
  class: text('class_name'),
  points: integer('points').notNull(),
  places: integer('places').array(),
  steps: bigint('steps', { mode: 'number' }).array().notNull(),
  values: doublePrecision('values').array().notNull(),
  epochs: integer('epochs').array(),
});

export const drawLedger = pgTable('draw_ledger', {
  jobId: text('job_id').notNull(),
  sequence: bigint('sequence', { mode: 'number' }).notNull(),
  attempt: integer('attempt').notNull(),
  at: instant('at').notNull(),
  epoch: integer('epoch').notNull(),
  snapshotDigest: text('snapshot_digest').notNull(),
  fromDraw: integer('from_draw').notNull(),
  draws: integer('draws').notNull(),
  digest: text('digest').notNull(),
  matches: boolean('matches').notNull(),
  hash: text('hash'),
});

export const caseLosses = pgTable('case_losses', {
  jobId: text('job_id').notNull(),
  attempt: integer('attempt').notNull(),
  reportSequence: integer('report_sequence').notNull(),
  caseId: text('case_id').notNull(),
  loss: doublePrecision('loss').notNull(),
  seen: integer('seen').notNull(),
  epoch: integer('epoch'),
  fromDraw: bigint('from_draw', { mode: 'number' }),
});

export const jobSnapshots = pgTable('job_snapshots', {
  jobId: text('job_id').notNull(),
  fromEpoch: integer('from_epoch').notNull(),
  snapshotId: text('snapshot_id').notNull(),
  at: instant('at').notNull(),
});
