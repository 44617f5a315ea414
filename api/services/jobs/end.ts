// Ending an attempt, with the audit entry that says why.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { type AttemptRow, type JobRow, moveAttemptToEnd } from '../../store/jobs.ts';

/** Ends an attempt and its job; does nothing where it has ended already. */
export async function endAttempt(
  deps: Deps,
  { job, attempt }: { job: JobRow; attempt: Pick<AttemptRow, 'attempt'> },
  { state, reason }: { state: JobState; reason: StateReason | null },
): Promise<void> {
  const at = deps.now();
  const key = { jobId: job.id, attempt: attempt.attempt };
  await moveAttemptToEnd(
    deps.database.orm,
    { key, at, state, reason },
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
