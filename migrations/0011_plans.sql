-- What an attempt planned from its training cases: spacing, patch, network, scales.

alter table job_attempts add column plan jsonb;
