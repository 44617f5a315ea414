-- Row-level security: the second wall between workspaces, behind the predicates of every query.
-- It holds for a role that does not own the tables (`grant_service`); the owner passes it. A
-- connection says for whom it works in the setting counterweight.workspace: an id, or * for the
-- service's own work (looking up a token, the reconciliation tick). Unset: no row is seen.

create function sees_workspace(id text) returns boolean
  language sql stable parallel safe
  as $$ select id = current_setting('counterweight.workspace', true)
    or current_setting('counterweight.workspace', true) = '*' $$;

do $$
declare
  of_workspace text[] := array['tokens', 'datasets', 'rule_sets', 'snapshots', 'idempotency_keys',
    'audit_entries', 'jobs', 'withdrawals', 'approvals', 'approval_revocations', 'alias_moves'];
  of_dataset text[] := array['dataset_versions', 'cases', 'upload_parts', 'splits'];
  of_job text[] := array['job_attempts', 'job_events', 'metrics', 'draw_ledger', 'case_losses'];
  seen text;
  t text;
begin
  execute 'alter table workspaces enable row level security';
  execute 'create policy own_workspace on workspaces
    using (sees_workspace(id)) with check (sees_workspace(id))';
  foreach t in array of_workspace loop
    execute format('alter table %I enable row level security', t);
    execute format('create policy own_workspace on %I
      using (sees_workspace(workspace_id)) with check (sees_workspace(workspace_id))', t);
  end loop;
  foreach t in array of_dataset loop
    -- The datasets are few and read once for a statement; their own policy applies to them.
    seen := 'dataset_id in (select id from datasets)';
    execute format('alter table %I enable row level security', t);
    execute format('create policy own_workspace on %I using (%s) with check (%s)', t, seen, seen);
  end loop;
  foreach t in array of_job loop
    seen := format('exists (select 1 from jobs where jobs.id = %I.job_id)', t);
    execute format('alter table %I enable row level security', t);
    execute format('create policy own_workspace on %I using (%s) with check (%s)', t, seen, seen);
  end loop;
  seen := 'exists (select 1 from snapshots where snapshots.id = snapshot_chunks.snapshot_id)';
  execute 'alter table snapshot_chunks enable row level security';
  execute format('create policy own_workspace on snapshot_chunks using (%s) with check (%s)',
    seen, seen);
end
$$;

-- Statistics after a large upload, for a role that may not analyze a table of somebody else.
create function analyze_cases() returns void
  language sql security definer set search_path = public
  as $$ analyze cases $$;

-- What the service needs and no more. What is history gets insert and select only, so that the
-- triggers are not all that keeps it.
create function grant_service(service name) returns void language plpgsql as $$
begin
  execute format('grant usage on schema public to %I', service);
  execute format('grant select, insert on all tables in schema public to %I', service);
  execute format('grant usage on all sequences in schema public to %I', service);
  execute format('grant update on tokens, datasets, dataset_versions, cases, idempotency_keys, jobs,
    job_attempts to %I', service);
  execute format('grant delete on cases, splits, upload_parts, idempotency_keys to %I', service);
  execute format('grant execute on function analyze_cases() to %I', service);
end
$$;
revoke execute on function analyze_cases() from public;
revoke execute on function grant_service(name) from public;
