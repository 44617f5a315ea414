-- The doors of the service: requests that are repeated, and requests that are too many.

-- Who serves the request of a key and until when that holds unless it is renewed, and which audit
-- entries it has written: a repeat after a crash reads from them what was done. A request that an
-- earlier version of the service had in hand when it ended is not known to be done: forgotten.
delete from idempotency_keys where status is null;
alter table idempotency_keys
  add column claim text,
  add column claimed_until timestamptz,
  add column entries bigint[] not null default '{}';
create index idempotency_keys_age on idempotency_keys (workspace_id, created_at);

-- When what a key has used up will be free again (GCRA). Of no workspace: it is counted before it
-- is known who asks. Lost with a crash, which does no harm.
create unlogged table rate_counters (
  key text primary key,
  free_at timestamptz not null
);
create index rate_counters_age on rate_counters (free_at);
alter table rate_counters enable row level security;
create policy own_work on rate_counters
  using (current_setting('counterweight.workspace', true) = '*')
  with check (current_setting('counterweight.workspace', true) = '*');

create or replace function grant_service(service name) returns void language plpgsql as $$
begin
  execute format('grant usage on schema public to %I', service);
  execute format('grant select, insert on all tables in schema public to %I', service);
  execute format('grant usage on all sequences in schema public to %I', service);
  execute format('grant update on tokens, datasets, dataset_versions, cases, idempotency_keys, jobs,
    job_attempts, agents, rate_counters to %I', service);
  execute format('grant update (removed_at, removed_by) on github_policies to %I', service);
  execute format('grant delete on cases, splits, upload_parts, idempotency_keys, rate_counters,
    github_sessions to %I', service);
  execute format('grant execute on function analyze_cases() to %I', service);
end
$$;
