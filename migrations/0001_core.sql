-- Workspaces, tokens, datasets and their versions, rule sets, snapshots, the audit chain.
-- The same text runs on PGlite, Postgres 15 and later, and Neon.

create table workspaces (
  id text primary key,
  name text not null unique,
  created_at timestamptz not null
);

create table tokens (
  id text primary key,
  workspace_id text not null references workspaces (id),
  name text not null,
  actor text not null,
  role text not null check (role in ('reader', 'editor', 'launcher', 'approver', 'admin')),
  secret_digest text not null unique,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);

create table datasets (
  id text primary key,
  workspace_id text not null references workspaces (id),
  name text not null,
  description text,
  labels jsonb,
  channels jsonb,
  subject_attribute text,
  attributes jsonb not null,
  created_at timestamptz not null,
  created_by text not null,
  unique (workspace_id, name)
);

create table dataset_versions (
  dataset_id text not null references datasets (id),
  number integer not null check (number > 0),
  state text not null check (state in ('draft', 'committed', 'discarded')),
  base integer,
  reason text not null,
  attributes jsonb,
  digest text,
  case_count integer,
  created_at timestamptz not null,
  created_by text not null,
  committed_at timestamptz,
  committed_by text,
  primary key (dataset_id, number)
);
-- Validity ranges stay correct only while one draft at a time is open.
create unique index dataset_versions_one_draft on dataset_versions (dataset_id)
  where state = 'draft';

-- One row per distinct content of a case. Version v sees a row when valid_from <= v < valid_to.
create table cases (
  dataset_id text not null references datasets (id),
  ordinal integer not null,
  case_id text collate "C" not null,
  valid_from integer not null,
  valid_to integer,
  attributes jsonb not null,
  files jsonb not null,
  primary key (dataset_id, ordinal, valid_from)
);
create unique index cases_live on cases (dataset_id, case_id) where valid_to is null;
create index cases_in_id_order on cases (dataset_id, case_id, valid_from);

create table upload_parts (
  dataset_id text not null,
  number integer not null,
  part integer not null,
  body_digest text not null,
  answer jsonb not null,
  primary key (dataset_id, number, part),
  foreign key (dataset_id, number) references dataset_versions (dataset_id, number)
);

create table splits (
  dataset_id text not null,
  number integer not null,
  name text not null,
  fold integer not null,
  train integer[] not null,
  val integer[] not null,
  primary key (dataset_id, number, name, fold),
  foreign key (dataset_id, number) references dataset_versions (dataset_id, number)
);

create table rule_sets (
  id text primary key,
  workspace_id text not null references workspaces (id),
  dataset_id text not null references datasets (id),
  name text not null,
  version integer not null,
  rules jsonb not null,
  digest text not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  unique (dataset_id, name, version)
);

create table snapshots (
  id text primary key,
  workspace_id text not null references workspaces (id),
  dataset_id text not null references datasets (id),
  version integer not null,
  split text not null,
  fold text not null,
  rule_set_id text not null references rule_sets (id),
  parent_id text references snapshots (id),
  digest text not null,
  input_digest text not null,
  header jsonb not null,
  diagnostics jsonb not null,
  excluded jsonb not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  unique (workspace_id, input_digest),
  foreign key (dataset_id, version) references dataset_versions (dataset_id, number)
);
create index snapshots_by_digest on snapshots (workspace_id, digest);
create index snapshots_by_dataset on snapshots (dataset_id, id);

create table snapshot_chunks (
  snapshot_id text not null references snapshots (id),
  chunk integer not null,
  ordinals integer[] not null,
  target_units bigint[] not null,
  draw_units bigint[] not null,
  loss_factors double precision[] not null,
  scores double precision[] not null,
  primary key (snapshot_id, chunk)
);
alter table snapshot_chunks alter column ordinals set storage external;
alter table snapshot_chunks alter column target_units set storage external;
alter table snapshot_chunks alter column draw_units set storage external;
alter table snapshot_chunks alter column loss_factors set storage external;
alter table snapshot_chunks alter column scores set storage external;

create table idempotency_keys (
  workspace_id text not null references workspaces (id),
  key text not null,
  request_digest text not null,
  status integer,
  answer text,
  created_at timestamptz not null,
  primary key (workspace_id, key)
);

create table audit_entries (
  workspace_id text not null references workspaces (id),
  sequence bigint not null,
  at timestamptz not null,
  actor text not null,
  action text not null,
  subject text not null,
  text text not null,
  previous_hash text not null,
  hash text not null,
  primary key (workspace_id, sequence)
);
create index audit_entries_by_subject on audit_entries (workspace_id, subject, sequence);

-- What is recorded stays recorded: no role may rewrite history through these tables.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of % is refused: rows of this table are never changed', tg_op, tg_table_name;
end
$$;
create trigger audit_entries_immutable before update or delete on audit_entries
  for each row execute function refuse_change();
create trigger audit_entries_not_emptied before truncate on audit_entries
  for each statement execute function refuse_change();
create trigger snapshots_immutable before update or delete on snapshots
  for each row execute function refuse_change();
create trigger snapshots_not_emptied before truncate on snapshots
  for each statement execute function refuse_change();
create trigger snapshot_chunks_immutable before update or delete on snapshot_chunks
  for each row execute function refuse_change();
create trigger snapshot_chunks_not_emptied before truncate on snapshot_chunks
  for each statement execute function refuse_change();
create trigger rule_sets_immutable before update or delete on rule_sets
  for each row execute function refuse_change();
