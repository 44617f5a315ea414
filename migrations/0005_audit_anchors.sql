-- Heads of audit chains that were written down elsewhere, a row each time: what tells a chain whose
-- end was cut off, together with the place itself.

create table audit_anchors (
  workspace_id text not null references workspaces (id),
  at timestamptz not null,
  sequence bigint not null,
  hash text not null,
  target text not null,
  primary key (workspace_id, at)
);
create trigger audit_anchors_immutable before update or delete on audit_anchors
  for each row execute function refuse_change();
create trigger audit_anchors_not_emptied before truncate on audit_anchors
  for each statement execute function refuse_change();
alter table audit_anchors enable row level security;
create policy own_workspace on audit_anchors
  using (sees_workspace(workspace_id)) with check (sees_workspace(workspace_id));
