// Launching a job: the intent and a deterministic launch key are stored first, then submitted.

import type { Job, LaunchJob } from '../../contract/jobs.ts';
import { type Resources, resourcesSchema } from '../../contract/settings.ts';
import type { LaunchTarget } from '../../contract/targets.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { LaunchRequest } from '../../launchers/launcher.ts';
import { type AttemptRow, insertAttempt, listAttempts } from '../../store/attempts.ts';
import { insertJob, type JobRow } from '../../store/jobs.ts';
import type { SnapshotRow } from '../../store/snapshots.ts';
import { entryOf } from '../entries.ts';
import { requireSnapshot } from '../snapshots/read.ts';
import { requireTarget } from '../targets.ts';
import { getJob, requireJob } from './read.ts';
import { launchSpec, submitOrEnd } from './submit.ts';
import { requireNoWithdrawn, withdrawnDetail } from './withdrawn.ts';

export function launchKeyOf(jobId: string, attempt: number): string {
  return `cw-${jobId}-${attempt}`;
}

function resourcesOf(target: LaunchTarget, input: LaunchJob): Resources {
  return resourcesSchema.parse({ ...target.defaults, ...input.resources });
}

function requireImage(target: LaunchTarget, image: string | undefined): void {
  if (target.engine === 'local') {
    if (image === undefined) return;
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" runs no image: leave image out.`,
      {
        errors: [{ pointer: '/image', detail: 'a local target takes none' }],
      },
    );
  }
  if (image !== undefined && target.images.includes(image)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" runs only: ${target.images.join(', ') || 'no image yet'}.`,
    { errors: [{ pointer: '/image', detail: 'not an image of this target' }] },
  );
}

function requireNoAlias(key: string): void {
  if (!key.includes('@')) return;
  throw new ProblemError(
    'not-found',
    `There is no alias "${key}": this version knows no aliases yet. Name the snapshot by id or by digest (sha256:...).`,
  );
}

function jobRow(
  deps: Deps,
  actor: Actor,
  { input, snapshot, resources }: { input: LaunchJob; snapshot: SnapshotRow; resources: Resources },
): JobRow {
  return {
    id: newId(deps),
    workspaceId: actor.workspaceId,
    datasetId: snapshot.datasetId,
    snapshotId: snapshot.id,
    target: input.target,
    image: input.image ?? null,
    seed: input.seed,
    settings: input.settings,
    resources,
    monitors: input.monitors,
    reason: input.reason,
    state: 'created',
    stateReason: null,
    attempt: 1,
    cancelRequestedAt: null,
    progress: null,
    summary: null,
    artifacts: [],
    batchId: null,
    alias: null,
    createdAt: deps.now(),
    createdBy: actor.name,
    startedAt: null,
    endedAt: null,
  };
}

function attemptRow(
  deps: Deps,
  job: Pick<JobRow, 'id'>,
  attempt: number,
  request: LaunchRequest,
): AttemptRow {
  return {
    jobId: job.id,
    attempt,
    launchKey: launchKeyOf(job.id, attempt),
    state: 'created',
    reason: null,
    tokenDigest: null,
    revokedAt: null,
    submitLeaseUntil: null,
    request,
    handle: null,
    observation: null,
    finish: null,
    lastSequence: -1,
    lastContactAt: null,
    missingPolls: 0,
    missingSince: null,
    createdAt: deps.now(),
    startedAt: null,
    endedAt: null,
  };
}

/** The exact request that a launch would send to the engine, without its token. Stores nothing. */
export async function dryRunJob(
  deps: Deps,
  actor: Actor,
  input: LaunchJob,
): Promise<{ request: LaunchRequest }> {
  const { job, attempt } = await prepareJob(deps, actor, input);
  return { request: { ...(attempt.request as LaunchRequest), launchKey: launchKeyOf(job.id, 1) } };
}

async function prepareJob(deps: Deps, actor: Actor, input: LaunchJob) {
  const target = requireTarget(deps, input.target, '/target');
  requireImage(target, input.image);
  if (input.settings.allowBatchDice) {
    throw new ProblemError(
      'unprocessable',
      'allowBatchDice: this trainer computes Dice per case only; leave it out.',
      {
        errors: [
          {
            pointer: '/settings/allowBatchDice',
            detail: 'not supported by trainer "counterweight"',
          },
        ],
      },
    );
  }
  requireNoAlias(input.snapshot);
  const snapshot = await requireSnapshot(deps, actor, input.snapshot);
  const withdrawn = await requireNoWithdrawn(deps, snapshot, input.acceptWithdrawn);
  const job = jobRow(deps, actor, { input, snapshot, resources: resourcesOf(target, input) });
  const dataset = snapshot.header.dataset;
  const spec = launchSpec(deps, { job, launchKey: launchKeyOf(job.id, 1), dataset });
  const launcher = await deps.launcherOf(target);
  const attempt = attemptRow(deps, job, 1, launcher.prepare(spec));
  return { job, attempt, dataset, snapshot, withdrawn };
}

/**
 * Launches a job. Throws `unprocessable` for what the target cannot do and `conflict` for withdrawn
 * cases that are not accepted, before anything is stored.
 */
export async function launchJob(deps: Deps, actor: Actor, input: LaunchJob): Promise<Job> {
  const { job, attempt, dataset, snapshot, withdrawn } = await prepareJob(deps, actor, input);
  const { seed, settings, target, image } = job;
  const entry = entryOf(deps, actor, {
    action: 'job.launched',
    subject: `job/${job.id}`,
    reason: input.reason,
    detail: {
      snapshot: snapshot.digest,
      target,
      image,
      seed,
      settings,
      ...withdrawnDetail(withdrawn),
    },
  });
  await insertJob(deps.database.orm, { job, attempt, withdrawn }, entry);
  await trySubmit(deps, { jobId: job.id, attempt: 1, dataset });
  return await getJob(deps, actor, job.id);
}

// The job is stored: an engine that cannot be asked now is asked again by the next tick.
async function trySubmit(deps: Deps, input: Parameters<typeof submitOrEnd>[1]): Promise<void> {
  try {
    await submitOrEnd(deps, input);
  } catch (cause) {
    deps.log('warn', `job ${input.jobId} will be submitted when its target can be asked`, {
      cause,
    });
  }
}

// Attempts share CW_OUT: two at once would write each other's checkpoints.
async function requireStopped(deps: Deps, target: LaunchTarget, { id }: JobRow): Promise<void> {
  const handle = (await listAttempts(deps.database.orm, [id])).at(-1)?.handle ?? null;
  if (handle === null) return;
  const launcher = await deps.launcherOf(target);
  const seen = (await launcher.poll([handle])).get(handle.launchKey)?.state;
  if (seen !== 'queued' && seen !== 'starting' && seen !== 'running') return;
  await launcher.cancel(handle, 0);
  throw new ProblemError(
    'conflict',
    'The attempt before is still stopping, and both would write the same checkpoints; try again in a moment.',
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
  await requireStopped(deps, target, job);
  const spec = launchSpec(deps, { job, launchKey: launchKeyOf(job.id, number), dataset });
  const row = attemptRow(deps, job, number, (await deps.launcherOf(target)).prepare(spec));
  const entry = entryOf(deps, actor, {
    action: 'job.retried',
    subject: `job/${job.id}`,
    reason,
    detail: { attempt: number, ...withdrawnDetail(withdrawn) },
  });
  const attempt = { row, at: deps.now(), by: actor.name, withdrawn };
  if (!(await insertAttempt(deps.database.orm, attempt, entry))) {
    throw new ProblemError('conflict', 'The job was retried at the same moment.');
  }
  await trySubmit(deps, { jobId: job.id, attempt: number, dataset });
  return await getJob(deps, actor, id);
}
