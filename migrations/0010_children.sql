-- Child snapshots: what each was made from, beside its parent and its rules, and which snapshot a
-- job draws by from which epoch on.

-- One of share (ramp), losses and seen (adaptive, in digest order), source_id (revert). `job_id` is
-- the job it was first made for; a ramp or a revert is the same for every job with its parent.
create table snapshot_origins (
  snapshot_id text primary key references snapshots (id),
  job_id text not null references jobs (id),
  share double precision,
  losses double precision[],
  seen bigint[],
  source_id text references snapshots (id)
);
create trigger snapshot_origins_immutable before update or delete on snapshot_origins
  for each row execute function refuse_change();
create trigger snapshot_origins_not_emptied before truncate on snapshot_origins
  for each statement execute function refuse_change();
alter table snapshot_origins enable row level security;
create policy own_workspace on snapshot_origins
  using (exists (select 1 from snapshots where snapshots.id = snapshot_origins.snapshot_id))
  with check (exists (select 1 from snapshots where snapshots.id = snapshot_origins.snapshot_id));

-- Before the first row a job draws by the snapshot it was launched with.
create table job_snapshots (
  job_id text not null references jobs (id),
  from_epoch integer not null check (from_epoch >= 0),
  snapshot_id text not null references snapshots (id),
  at timestamptz not null,
  primary key (job_id, from_epoch)
);
create trigger job_snapshots_immutable before update or delete on job_snapshots
  for each row execute function refuse_change();
create trigger job_snapshots_not_emptied before truncate on job_snapshots
  for each statement execute function refuse_change();
alter table job_snapshots enable row level security;
create policy own_workspace on job_snapshots
  using (exists (select 1 from jobs where jobs.id = job_snapshots.job_id))
  with check (exists (select 1 from jobs where jobs.id = job_snapshots.job_id));

-- Where in the plan a case's losses were seen, so that what an attempt repeats counts once. Null in
-- older rows, which are no evidence.
alter table case_losses add column epoch integer;
alter table case_losses add column from_draw bigint;
