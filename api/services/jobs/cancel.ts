// Cancelling: the flag first, so that it holds whatever the engine says later; then the engine. An
// engine that cannot be asked now is asked again by every tick.

import type { Job } from '../../contract/jobs.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findAttempt, type JobAttempt } from '../../store/attempts.ts';
import { moveJobToCancelling } from '../../store/jobs.ts';
import { entryOf } from '../entries.ts';
import { requireTarget } from '../targets.ts';
import { datasetOfJob, getJob, requireJob } from './read.ts';
import { stopOnEngine } from './settle.ts';
import { submitOrEnd } from './submit.ts';

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
  const flag = { jobId: id, at: deps.now(), by: actor.name };
  await moveJobToCancelling(deps.database.orm, flag, entry);
  const found = await findAttempt(deps.database.orm, { jobId: id, attempt: job.attempt });
  try {
    if (found !== undefined) await stop(deps, found);
  } catch (cause) {
    deps.log('warn', `job ${id} will be cancelled when its target can be asked`, { cause });
  }
  return await getJob(deps, actor, id);
}

async function stop(deps: Deps, { job, attempt }: JobAttempt): Promise<void> {
  if (attempt.endedAt !== null) return;
  const target = requireTarget(deps, job.target);
  const byAgent = target.engine === 'agent'; // which hears it when it asks next
  if (byAgent && attempt.handle !== null) return;
  if (attempt.handle === null) {
    const dataset = await datasetOfJob(deps, job);
    return await submitOrEnd(deps, { jobId: job.id, attempt: attempt.attempt, dataset });
  }
  const launcher = await deps.launcherOf(target);
  await stopOnEngine(deps, launcher, { job, attempt });
}
