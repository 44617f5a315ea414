// Ending an attempt, with the audit entry that says why.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { type JobAttempt, moveAttemptToEnd } from '../../store/attempts.ts';

/**
 * Ends an attempt and its job. False, and nothing done, where it has ended already or where a final
 * report, a cancellation or a monitor's stop came in after `job` and `attempt` were read.
 */
export async function endAttempt(
  deps: Deps,
  { job, attempt }: JobAttempt,
  { state, reason }: { state: JobState; reason: StateReason | null },
): Promise<boolean> {
  const at = deps.now();
  const key = { jobId: job.id, attempt: attempt.attempt };
  const basis = {
    finished: attempt.finish !== null,
    cancelRequested: job.cancelRequestedAt !== null,
    stopAsked: job.stopReason !== null,
  };
  return await moveAttemptToEnd(
    deps.database.orm,
    { key, at, state, reason, basis },
    {
      workspaceId: job.workspaceId,
      at,
      actor: 'service',
      action: 'job.ended',
      subject: `job/${job.id}`,
      reason: null,
      detail: { attempt: attempt.attempt, state, reason },
    },
  );
}
