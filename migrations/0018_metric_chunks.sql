-- The numbers of one series in one report are one row: a report of a thousand numbers costs a few
-- rows, and a series of ten thousand is read as fast as it was written. Numbers of a job count from
-- 1 in the order of arrival, over all its series.

alter table jobs add column metric_count bigint not null default 0;

create table metric_chunks (
  job_id text not null references jobs (id),
  -- Of its first number and of its last.
  first_sequence bigint not null,
  last_sequence bigint not null,
  attempt integer not null,
  name text not null,
  group_name text,
  class_name text,
  points integer not null,
  -- What is added to first_sequence for each number; null where that is 0, 1, 2 ...
  places integer[],
  steps bigint[] not null,
  "values" double precision[] not null,
  -- Null where no number says of which epoch it is.
  epochs integer[],
  primary key (job_id, first_sequence)
);
create index metric_chunks_by_name on metric_chunks (job_id, name, last_sequence);

alter table metric_chunks enable row level security;
create policy own_workspace on metric_chunks
  using (exists (select 1 from jobs where jobs.id = metric_chunks.job_id))
  with check (exists (select 1 from jobs where jobs.id = metric_chunks.job_id));

insert into metric_chunks (job_id, first_sequence, last_sequence, attempt, name, group_name,
  class_name, points, steps, "values", epochs)
select job_id, sequence, sequence, attempt, name, group_name, class_name, 1, array[step],
  array[value], case when epoch is null then null else array[epoch] end
from metrics;

update jobs set metric_count = last.sequence
from (select job_id, max(sequence) as sequence from metrics group by job_id) as last
where last.job_id = jobs.id;

drop table metrics;
