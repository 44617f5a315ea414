-- Jobs, their attempts, what happened, and what the trainer reported.

create table jobs (
  id text primary key,
  workspace_id text not null references workspaces (id),
  dataset_id text not null references datasets (id),
  snapshot_id text not null references snapshots (id),
  target text not null,
  image text,
  seed bigint not null,
  settings jsonb not null,
  resources jsonb not null,
  monitors jsonb not null,
  reason text not null,
  state text not null check (state in ('created', 'submitting', 'queued', 'starting', 'running',
    'finishing', 'cancelling', 'succeeded', 'failed', 'cancelled', 'timedOut', 'lost')),
  state_reason jsonb,
  attempt integer not null,
  cancel_requested_at timestamptz,
  progress jsonb,
  summary jsonb,
  artifacts jsonb not null,
  created_at timestamptz not null,
  created_by text not null,
  started_at timestamptz,
  ended_at timestamptz
);
create index jobs_by_workspace on jobs (workspace_id, id);
create index jobs_live on jobs (target) where ended_at is null;

create table job_attempts (
  job_id text not null references jobs (id),
  attempt integer not null,
  launch_key text not null unique,
  state text not null check (state in ('created', 'submitting', 'queued', 'starting', 'running',
    'finishing', 'cancelling', 'succeeded', 'failed', 'cancelled', 'timedOut', 'lost')),
  reason jsonb,
  token_digest text unique,
  revoked_at timestamptz,
  submit_lease_until timestamptz,
  request jsonb,
  handle jsonb,
  observation jsonb,
  finish jsonb,
  last_sequence integer not null default -1,
  last_contact_at timestamptz,
  missing_polls integer not null default 0,
  missing_since timestamptz,
  log text not null default '',
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz,
  primary key (job_id, attempt)
);

create table job_events (
  job_id text not null references jobs (id),
  sequence integer not null,
  at timestamptz not null,
  kind text not null,
  detail jsonb not null,
  primary key (job_id, sequence)
);

create trigger job_events_immutable before update or delete on job_events
  for each row execute function refuse_change();
create trigger job_events_not_emptied before truncate on job_events
  for each statement execute function refuse_change();

create table metrics (
  job_id text not null references jobs (id),
  sequence bigserial not null,
  attempt integer not null,
  name text not null,
  value double precision not null,
  step bigint not null,
  epoch integer,
  group_name text,
  class_name text,
  primary key (job_id, sequence)
);
create index metrics_by_name on metrics (job_id, name, sequence);

create table draw_ledger (
  job_id text not null references jobs (id),
  sequence bigserial not null,
  attempt integer not null,
  at timestamptz not null,
  epoch integer not null,
  snapshot_digest text not null,
  from_draw integer not null,
  draws integer not null,
  digest text not null,
  matches boolean not null,
  primary key (job_id, sequence)
);
create trigger draw_ledger_immutable before update or delete on draw_ledger
  for each row execute function refuse_change();
create trigger draw_ledger_not_emptied before truncate on draw_ledger
  for each statement execute function refuse_change();

create table case_losses (
  job_id text not null references jobs (id),
  attempt integer not null,
  report_sequence integer not null,
  case_id text collate "C" not null,
  loss double precision not null,
  seen integer not null,
  primary key (job_id, attempt, report_sequence, case_id)
);
