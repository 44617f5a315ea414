-- What an attempt computes on, as its trainer says it: backend, device, versions, self-test.

alter table job_attempts add column environment jsonb;
