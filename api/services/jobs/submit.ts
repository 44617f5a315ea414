// From a stored intent to a launch, so that a crash at any moment neither doubles nor loses it:
// lease, look the launch key up, mint the token, submit, save the handle. No transaction spans the
// engine's answer.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError, type ProblemKind } from '../../errors.ts';
import { newSecret, sha256Text } from '../../ids.ts';
import type { Handle, Launcher, LaunchSpec } from '../../launchers/launcher.ts';
import {
  countLaunched,
  findAttempt,
  type JobAttempt,
  moveAttemptToken,
  moveToLaunched,
  moveToSubmitting,
} from '../../store/attempts.ts';
import type { JobRow } from '../../store/jobs.ts';
import { requireTarget } from '../targets.ts';
import { endAttempt } from './end.ts';
import { lateReason } from './state.ts';

const leaseMs = 30_000;

/** What an engine is told of an attempt. */
export function launchSpec(
  deps: Deps,
  {
    job,
    launchKey,
    dataset,
  }: {
    job: Pick<JobRow, 'id' | 'target' | 'image' | 'resources' | 'settings'>;
    launchKey: string;
    dataset: string;
  },
): LaunchSpec {
  const target = requireTarget(deps, job.target);
  const dataPath = target.dataPaths[dataset];
  if (dataPath === undefined) {
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" has no images of dataset "${dataset}": add it to dataPaths in CW_TARGETS.`,
      { errors: [{ pointer: '/target', detail: `dataPaths has no "${dataset}"` }] },
    );
  }
  return {
    launchKey,
    image: job.image,
    trainer: job.settings.trainer,
    environment: { CW_API: deps.publicUrl, CW_JOB: job.id, CW_DATA: dataPath },
    resources: job.resources,
    target,
  };
}

/** A problem of these kinds is the engine's last word; any other is a doubt, and asked again. */
const refusals: readonly ProblemKind[] = [
  'invalid-request',
  'unauthenticated',
  'forbidden',
  'not-found',
  'conflict',
  'too-large',
  'unprocessable',
];

/**
 * Moves an attempt that has no handle yet: submits it, adopts the launch that a crash left behind,
 * or ends it where it was cancelled or is too late. Does nothing while another one is at it. What
 * the engine refuses ends the attempt; throws where the engine could not be asked.
 */
export async function submitOrEnd(
  deps: Deps,
  { jobId, attempt: number, dataset }: { jobId: string; attempt: number; dataset: string },
): Promise<void> {
  const key = { jobId, attempt: number };
  const now = deps.now();
  const leaseUntil = new Date(now.getTime() + leaseMs);
  const waiting = await findAttempt(deps.database.orm, key);
  if (waiting === undefined || (await mustWait(deps, waiting))) return;
  if (!(await moveToSubmitting(deps.database.orm, { ...key, now, leaseUntil }))) return;
  const found = await findAttempt(deps.database.orm, key);
  if (found === undefined) return;
  try {
    await launchOrEnd(deps, found, { dataset, leaseUntil });
  } catch (error) {
    if (!(error instanceof ProblemError) || !refusals.includes(error.kind)) throw error;
    const reason = { code: 'config' as const, detail: error.detail };
    await endAttempt(deps, found, withdrawnEnd(deps, found) ?? { state: 'failed', reason });
  }
}

async function launchOrEnd(
  deps: Deps,
  found: JobAttempt,
  { dataset, leaseUntil }: { dataset: string; leaseUntil: Date },
): Promise<void> {
  const { job, attempt } = found;
  const key = { jobId: job.id, attempt: attempt.attempt };
  const spec = launchSpec(deps, { job, launchKey: attempt.launchKey, dataset });
  const launcher = await deps.launcherOf(spec.target);
  let handle = await launcher.find(attempt.launchKey);
  if (handle === null) {
    const withdrawn = withdrawnEnd(deps, found);
    if (withdrawn !== null) {
      await endAttempt(deps, found, withdrawn);
      return;
    }
    const request = launcher.prepare(spec);
    // Minted only now: `find` has said that no process with an older token exists.
    const token = newSecret(deps.randomBytes);
    const tokenDigest = await sha256Text(token);
    if (!(await moveAttemptToken(deps.database.orm, { ...key, tokenDigest, leaseUntil }))) return;
    handle = await submitOrAdopt(launcher, request, token);
  }
  if (await moveToLaunched(deps.database.orm, { key, at: deps.now(), handle })) return;
  await launcher.cancel(handle, 0); // the attempt ended while the engine was being asked
}

async function submitOrAdopt(
  launcher: Launcher,
  request: ReturnType<Launcher['prepare']>,
  token: string,
): Promise<Handle> {
  try {
    return await launcher.submit(request, token);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.kind !== 'conflict') throw error;
    const known = await launcher.find(request.launchKey);
    if (known === null) throw error;
    return known;
  }
}

function withdrawnEnd(
  deps: Deps,
  { job, attempt }: JobAttempt,
): { state: JobState; reason: StateReason | null } | null {
  const cancelRequested = job.cancelRequestedAt !== null;
  if (cancelRequested) return { state: 'cancelled', reason: null };
  const { stopReason, resources } = job;
  const live = { ...attempt, cancelRequested, stopReason, resources };
  const late = lateReason(live, deps.now());
  return late === null ? null : { state: 'timedOut', reason: late };
}

// A full target keeps attempts in `created`; the tick submits them as others end, oldest first.
async function mustWait(deps: Deps, { job, attempt }: JobAttempt): Promise<boolean> {
  const most = deps.targets.find(({ name }) => name === job.target)?.limits.jobsAtOnce;
  if (most === undefined || attempt.submitLeaseUntil !== null) return false;
  if (withdrawnEnd(deps, { job, attempt }) !== null) return false;
  return (await countLaunched(deps.database.orm, job.target)) >= most;
}

/** Submits a stored job; where its engine cannot be asked now, the next tick asks again. */
export async function trySubmit(
  deps: Deps,
  input: Parameters<typeof submitOrEnd>[1],
): Promise<void> {
  try {
    await submitOrEnd(deps, input);
  } catch (cause) {
    deps.log('warn', `job ${input.jobId} will be submitted when its target can be asked`, {
      cause,
    });
  }
}
