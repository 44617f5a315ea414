-- What is asked of a snapshot or of a batch: children, jobs, members.

create index snapshots_by_parent on snapshots (parent_id) where parent_id is not null;
create index snapshots_by_batch on snapshots (dataset_id, batch_id, id) where batch_id is not null;
create index jobs_by_snapshot on jobs (snapshot_id);
create index jobs_by_batch on jobs (workspace_id, batch_id, id) where batch_id is not null;
