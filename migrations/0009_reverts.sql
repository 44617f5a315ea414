-- What a monitor asked of a job's draws, until they are switched back, and whether they were: from
-- then on what the job learns was decided by its validation.

alter table jobs add column revert_requested jsonb;
alter table jobs add column validation_informed boolean not null default false;
