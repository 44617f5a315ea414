-- What a team decides about snapshots: withdrawn cases, approvals, aliases. All of it is history:
-- rows are added and never changed, and the newest one is what holds.

create table withdrawals (
  workspace_id text not null references workspaces (id),
  dataset_id text not null references datasets (id),
  case_id text collate "C" not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  primary key (dataset_id, case_id)
);

create table approvals (
  id text primary key,
  workspace_id text not null references workspaces (id),
  snapshot_id text not null references snapshots (id),
  snapshot_digest text not null,
  meaning text not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null
);
create index approvals_by_digest on approvals (workspace_id, snapshot_digest, id);

create table approval_revocations (
  approval_id text primary key references approvals (id),
  workspace_id text not null references workspaces (id),
  reason text not null,
  created_at timestamptz not null,
  created_by text not null
);

-- One row per move; the highest number is where the alias stands. `snapshots` is fold -> id, and
-- `approvals` the ids of those that allowed the move.
create table alias_moves (
  workspace_id text not null references workspaces (id),
  dataset_id text not null references datasets (id),
  name text not null,
  number integer not null check (number > 0),
  snapshots jsonb not null,
  protected boolean not null,
  approvals jsonb not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  primary key (dataset_id, name, number)
);

-- The withdrawals that a snapshot was frozen under, [{id, reason}], so that it can be recomputed.
alter table snapshots add column withdrawn jsonb not null default '[]';
-- SHA-256 over the scores, which the digest of METHOD.md section 5 does not cover. Null in rows
-- that are older than this column.
alter table snapshots add column scores_digest text;
-- Snapshots and jobs that one request made for several folds.
alter table snapshots add column batch_id text;
alter table jobs add column batch_id text;
-- The alias that a job was launched by, {name, number}.
alter table jobs add column alias jsonb;

-- What `audit verify` compares, to name the chunk or the ledger row that was altered. Null in rows
-- that are older than these columns.
alter table snapshot_chunks add column digest text;
alter table draw_ledger add column hash text;

-- The ids of a chunk's cases, a line each: reading a snapshot then needs no join with its cases.
alter table snapshot_chunks add column ids text;
alter table snapshot_chunks alter column ids set storage external;
alter table snapshot_chunks disable trigger snapshot_chunks_immutable;
update snapshot_chunks k set ids = (
  select string_agg(c.case_id, E'\n' order by member.place)
  from unnest(k.ordinals) with ordinality member (ordinal, place)
  join snapshots s on s.id = k.snapshot_id
  join cases c on c.dataset_id = s.dataset_id and c.ordinal = member.ordinal
    and c.valid_from <= s.version and (c.valid_to is null or c.valid_to > s.version));
alter table snapshot_chunks enable trigger snapshot_chunks_immutable;
alter table snapshot_chunks alter column ids set not null;

create trigger withdrawals_immutable before update or delete on withdrawals
  for each row execute function refuse_change();
create trigger withdrawals_not_emptied before truncate on withdrawals
  for each statement execute function refuse_change();
create trigger approvals_immutable before update or delete on approvals
  for each row execute function refuse_change();
create trigger approvals_not_emptied before truncate on approvals
  for each statement execute function refuse_change();
create trigger approval_revocations_immutable before update or delete on approval_revocations
  for each row execute function refuse_change();
create trigger approval_revocations_not_emptied before truncate on approval_revocations
  for each statement execute function refuse_change();
create trigger alias_moves_immutable before update or delete on alias_moves
  for each row execute function refuse_change();
create trigger alias_moves_not_emptied before truncate on alias_moves
  for each statement execute function refuse_change();
create trigger rule_sets_not_emptied before truncate on rule_sets
  for each statement execute function refuse_change();
