-- Attempts that ran in the last day, whatever their job: what the GPU hours of a target are.

create index job_attempts_ran on job_attempts (ended_at) where started_at is not null;
