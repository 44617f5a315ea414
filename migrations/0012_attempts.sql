-- What an attempt waits for and what it left behind: automatic attempts start after a pause, one
-- that is told to stop has a grace from then on, and ended ones are cleaned up on their engine.

alter table job_attempts
  add column not_before timestamptz,
  add column stop_told_at timestamptz,
  add column cleaned_at timestamptz;

update job_attempts set cleaned_at = ended_at;

create index job_attempts_live on job_attempts (job_id) where ended_at is null;
create index job_attempts_uncleaned on job_attempts (ended_at)
  where ended_at is not null and cleaned_at is null and handle is not null;
