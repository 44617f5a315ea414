// Submitting an attempt so that a crash at any moment neither doubles nor loses it: lease, look the
// launch key up, mint the token, submit, save the handle. No transaction spans the engine's answer.

import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newSecret, sha256Text } from '../../ids.ts';
import type { LaunchSpec } from '../../launchers/launcher.ts';
import {
  type AttemptRow,
  type JobRow,
  moveAttempt,
  moveAttemptToken,
  moveToSubmitting,
} from '../../store/jobs.ts';
import { requireTarget } from '../targets.ts';
import { endAttempt } from './end.ts';

const leaseMs = 30_000;

/** What an engine is told of an attempt. */
export function launchSpec(
  deps: Deps,
  {
    job,
    launchKey,
    dataset,
  }: {
    job: Pick<JobRow, 'id' | 'target' | 'image' | 'resources'>;
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
    environment: { CW_API: deps.publicUrl, CW_JOB: job.id, CW_DATA: dataPath },
    resources: job.resources,
    target,
  };
}

/** Submits an attempt unless someone else is doing so. Faults of the engine end the attempt. */
export async function submitAttempt(
  deps: Deps,
  { job, attempt, dataset }: { job: JobRow; attempt: AttemptRow; dataset: string },
): Promise<void> {
  const key = { jobId: job.id, attempt: attempt.attempt };
  const now = deps.now();
  const leaseUntil = new Date(now.getTime() + leaseMs);
  if (!(await moveToSubmitting(deps.database.orm, { ...key, now, leaseUntil }))) return;
  try {
    const spec = launchSpec(deps, { job, launchKey: attempt.launchKey, dataset });
    const launcher = await deps.launcherOf(spec.target);
    const request = launcher.prepare(spec);
    const known = await launcher.find(attempt.launchKey);
    const handle = known ?? (await launcher.submit(request, await mintToken(deps, key)));
    const change = { handle, state: 'queued' as const };
    await moveAttempt(deps.database.orm, { key, at: deps.now(), change });
  } catch (error) {
    if (!(error instanceof ProblemError) || error.kind === 'unavailable') throw error;
    const reason = { code: 'config' as const, detail: error.detail };
    await endAttempt(deps, { job, attempt }, { state: 'failed', reason });
  }
}

// Minted only now: `find` has said that no process with an older token exists.
async function mintToken(deps: Deps, key: { jobId: string; attempt: number }): Promise<string> {
  const token = newSecret(deps.randomBytes);
  await moveAttemptToken(deps.database.orm, { ...key, tokenDigest: await sha256Text(token) });
  return token;
}
