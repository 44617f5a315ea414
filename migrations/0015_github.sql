-- Launching from GitHub without a secret: which workflow runs are trusted with what, the sessions
-- that their tokens were exchanged for, and the run that launched a job.

-- Never changed but to be removed: a session stands on the policy as it was when it began.
create table github_policies (
  id text primary key,
  workspace_id text not null references workspaces (id),
  issuer text not null,
  repository_id text not null,
  repository_owner_id text not null,
  -- As its admin knew it. Shown, never compared.
  repository text not null,
  refs jsonb not null,
  events jsonb not null,
  environments jsonb,
  workflow text,
  dataset_id text not null references datasets (id),
  aliases jsonb not null,
  targets jsonb,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  removed_at timestamptz,
  removed_by text
);
create index github_policies_by_repository on github_policies (issuer, repository_id)
  where removed_at is null;

-- One row per exchanged token: the index over issuer and jti is what makes a token count once. A
-- row goes when neither its session nor its token can be used any more.
create table github_sessions (
  id text primary key,
  workspace_id text not null references workspaces (id),
  policy_id text not null references github_policies (id),
  issuer text not null,
  jti text not null,
  secret_digest text not null unique,
  actor text not null,
  claims jsonb not null,
  dry_run_only boolean not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  forget_at timestamptz not null,
  unique (issuer, jti)
);
create index github_sessions_to_forget on github_sessions (workspace_id, forget_at);

-- {policy, run}: whose sessions may watch and cancel the job.
alter table jobs add column github jsonb;

alter table github_policies enable row level security;
create policy own_workspace on github_policies
  using (sees_workspace(workspace_id)) with check (sees_workspace(workspace_id));
alter table github_sessions enable row level security;
create policy own_workspace on github_sessions
  using (sees_workspace(workspace_id)) with check (sees_workspace(workspace_id));

create or replace function grant_service(service name) returns void language plpgsql as $$
begin
  execute format('grant usage on schema public to %I', service);
  execute format('grant select, insert on all tables in schema public to %I', service);
  execute format('grant usage on all sequences in schema public to %I', service);
  execute format('grant update on tokens, datasets, dataset_versions, cases, idempotency_keys, jobs,
    job_attempts, agents to %I', service);
  execute format('grant delete on cases, splits, upload_parts, idempotency_keys to %I', service);
  execute format('grant update (removed_at, removed_by) on github_policies to %I', service);
  execute format('grant delete on github_sessions to %I', service);
  execute format('grant execute on function analyze_cases() to %I', service);
end
$$;
