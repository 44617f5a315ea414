// Ending an attempt, with the audit entry that says why.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { endOfOutput } from '../../launchers/launcher.ts';
import { moveAttemptToEnd } from '../../store/attempt-ends.ts';
import type { JobAttempt } from '../../store/attempts.ts';
import { nextAttempt } from './attempts.ts';

/**
 * Ends an attempt and its job, or goes on to the next attempt where `nextAttempt` has one. False,
 * and nothing done, where it has ended already or where a final report, a cancellation or a
 * monitor's stop came in after `job` and `attempt` were read.
 */
export async function endAttempt(
  deps: Deps,
  one: JobAttempt,
  { state, reason, output }: { state: JobState; reason: StateReason | null; output?: string },
): Promise<boolean> {
  const { job, attempt } = one;
  const next = await nextAttempt(deps, one, { state, reason });
  const at = deps.now();
  const key = { jobId: job.id, attempt: attempt.attempt };
  const basis = {
    finished: attempt.finish !== null,
    cancelRequested: job.cancelRequestedAt !== null,
    stopAsked: job.stopReason !== null,
  };
  const kept = output === undefined ? undefined : endOfOutput(output.replaceAll('\0', ''));
  return await moveAttemptToEnd(
    deps.database.orm,
    { key, at, state, reason, basis, output: kept, next },
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
