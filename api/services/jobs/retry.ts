// Another attempt of a job that ended, once the one before has stopped.

import type { Job } from '../../contract/jobs.ts';
import type { LaunchTarget } from '../../contract/targets.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { ObservedState } from '../../launchers/launcher.ts';
import { insertAttempt } from '../../store/attempt-ends.ts';
import { listAttempts } from '../../store/attempts.ts';
import type { JobRow } from '../../store/jobs.ts';
import { entryOf } from '../entries.ts';
import { requireSnapshot } from '../snapshots/read.ts';
import { requireTarget } from '../targets.ts';
import { requireStoppedByAgent } from './agent-leases.ts';
import { attemptRow, launchKeyOf, launchSpec } from './attempts.ts';
import { requireGpuHours } from './gpu-hours.ts';
import { getJob, requireJob } from './read.ts';
import { trySubmit } from './submit.ts';
import { requireNoWithdrawn, withdrawnDetail } from './withdrawn.ts';

const hasStopped: ObservedState[] = ['exited', 'failed', 'timedOut', 'cancelled', 'notFound'];

// Attempts share CW_OUT: two at once would write each other's checkpoints.
async function requireStopped(deps: Deps, target: LaunchTarget, { id }: JobRow): Promise<void> {
  const last = (await listAttempts(deps.database.orm, [id])).at(-1);
  if (target.engine === 'agent' && last !== undefined) {
    return requireStoppedByAgent(last, deps.now());
  }
  const handle = last?.handle ?? null;
  if (handle === null) return;
  const launcher = await deps.launcherOf(target);
  const seen = (await launcher.poll([handle])).get(handle.launchKey);
  const state = seen?.state ?? 'unknown';
  if (hasStopped.includes(state)) return;
  if (state !== 'unknown') await launcher.cancel(handle, 0);
  const what =
    state === 'unknown'
      ? `may still run: its engine does not say (${seen?.detail ?? 'without a reason'})`
      : 'is still stopping';
  throw new ProblemError(
    'conflict',
    `The attempt before ${what}, and both would write the same checkpoints; try again in a moment.`,
  );
}

/** Another attempt of a job that ended. The attempts of a job share its checkpoints. */
export async function retryJob(
  deps: Deps,
  actor: Actor,
  { id, reason, acceptWithdrawn }: { id: string; reason?: string; acceptWithdrawn?: boolean },
): Promise<Job> {
  const job = await requireJob(deps, actor, id);
  if (job.endedAt === null || job.state === 'succeeded') {
    throw new ProblemError(
      'conflict',
      `The job is ${job.state}; only a job that failed, timed out or was cancelled is retried.`,
    );
  }
  const snapshot = await requireSnapshot(deps, actor, job.snapshotId);
  const withdrawn = await requireNoWithdrawn(deps, snapshot, acceptWithdrawn);
  const dataset = snapshot.header.dataset;
  const number = job.attempt + 1;
  const target = requireTarget(deps, job.target);
  await requireGpuHours(deps, target, [job.resources]);
  await requireStopped(deps, target, job);
  const spec = launchSpec(deps, { job, launchKey: launchKeyOf(job.id, number), dataset });
  const row = attemptRow(deps, job, number, (await deps.launcherOf(target)).prepare(spec));
  const entry = entryOf(deps, actor, {
    action: 'job.retried',
    subject: `job/${job.id}`,
    reason,
    detail: { attempt: number, ...withdrawnDetail(withdrawn) },
  });
  const next = { row, at: deps.now(), by: actor.name, withdrawn, audit: entry };
  if (!(await insertAttempt(deps.database.orm, next))) {
    throw new ProblemError('conflict', 'The job was retried at the same moment.');
  }
  await trySubmit(deps, { jobId: job.id, attempt: number, dataset });
  return await getJob(deps, actor, id);
}
