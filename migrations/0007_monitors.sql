-- How each of a job's monitors stands, and what one of them asked for: to stop the job.

alter table jobs add column monitor_states jsonb not null default '{}';
alter table jobs add column stop_reason jsonb;
