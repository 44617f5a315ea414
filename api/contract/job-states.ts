// The states of jobs and attempts, without the schemas: a bundled client needs no more.

export const jobStates = [
  'created',
  'submitting',
  'queued',
  'starting',
  'running',
  'finishing',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
  'timedOut',
  'lost',
] as const;
export type JobState = (typeof jobStates)[number];

/** States that an attempt, or a job, never leaves. */
export const endStates: readonly JobState[] = [
  'succeeded',
  'failed',
  'cancelled',
  'timedOut',
  'lost',
];
