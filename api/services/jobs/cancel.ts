// Cancelling: the flag first, so that it holds whatever the engine says later; then the engine.

import type { Job } from '../../contract/jobs.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { listAttempts, moveJobToCancelling } from '../../store/jobs.ts';
import { entryOf } from '../entries.ts';
import { requireTarget } from '../targets.ts';
import { endAttempt } from './end.ts';
import { getJob, requireJob } from './read.ts';

/** Seconds that a trainer has to write its checkpoint and stop. */
export const cancelGraceSeconds = 30;

/** Cancels a job that has not ended; asking twice is no fault. */
export async function cancelJob(
  deps: Deps,
  actor: Actor,
  { id, reason }: { id: string; reason?: string },
): Promise<Job> {
  const job = await requireJob(deps, actor, id);
  if (job.endedAt !== null) {
    if (job.state === 'cancelled') return await getJob(deps, actor, id);
    throw new ProblemError('conflict', `The job has ended already: ${job.state}.`);
  }
  const entry = entryOf(deps, actor, { action: 'job.cancelled', subject: `job/${id}`, reason });
  await moveJobToCancelling(
    deps.database.orm,
    { jobId: id, at: deps.now(), by: actor.name },
    entry,
  );
  const attempt = (await listAttempts(deps.database.orm, [id])).at(-1);
  if (attempt?.handle) {
    const launcher = await deps.launcherOf(requireTarget(deps, job.target));
    await launcher.cancel(attempt.handle, cancelGraceSeconds);
  } else if (attempt?.state === 'created') {
    await endAttempt(deps, { job, attempt }, { state: 'cancelled', reason: null });
  }
  return await getJob(deps, actor, id);
}
