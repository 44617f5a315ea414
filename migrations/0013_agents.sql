-- Agents: processes beside an engine that no request from here reaches. They claim the attempts of
-- a target, launch them there, and tell how they are.

alter table tokens drop constraint tokens_role_check;
alter table tokens add constraint tokens_role_check
  check (role in ('reader', 'editor', 'launcher', 'approver', 'agent', 'admin'));

create table agents (
  workspace_id text not null references workspaces (id),
  target text not null,
  name text not null,
  -- Whose token the name belongs to: nobody else may speak for it.
  actor text not null,
  version text not null,
  findings jsonb not null,
  seen_at timestamptz not null,
  primary key (workspace_id, target, name)
);
alter table agents enable row level security;
create policy own_workspace on agents
  using (sees_workspace(workspace_id)) with check (sees_workspace(workspace_id));

-- Who has an attempt, when it was heard last, and what it then said of the attempt.
alter table job_attempts
  add column agent text,
  add column agent_heard_at timestamptz,
  add column agent_word jsonb;

create index job_attempts_held on job_attempts (agent)
  where agent is not null and cleaned_at is null;

create or replace function grant_service(service name) returns void language plpgsql as $$
begin
  execute format('grant usage on schema public to %I', service);
  execute format('grant select, insert on all tables in schema public to %I', service);
  execute format('grant usage on all sequences in schema public to %I', service);
  execute format('grant update on tokens, datasets, dataset_versions, cases, idempotency_keys, jobs,
    job_attempts, agents to %I', service);
  execute format('grant delete on cases, splits, upload_parts, idempotency_keys to %I', service);
  execute format('grant execute on function analyze_cases() to %I', service);
end
$$;
