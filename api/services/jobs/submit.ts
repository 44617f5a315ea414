// From a stored intent to a launch, so that a crash at any moment neither doubles nor loses it:
// lease, look the launch key up, mint the token, submit, save the handle. No transaction spans the
// engine's answer.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newSecret, sha256Text } from '../../ids.ts';
import { isRefusal, submitOrAdopt } from '../../launchers/launcher.ts';
import {
  findAttempt,
  type JobAttempt,
  moveAttemptToken,
  moveToLaunched,
  moveToSubmitting,
  type Room,
} from '../../store/attempts.ts';
import { mayBeLaunched } from './agent-leases.ts';
import { launchSpec } from './attempts.ts';
import { endAttempt } from './end.ts';
import { doubtDetail } from './engines.ts';
import { takeTurn } from './gpu-hours.ts';
import { noteDoubt } from './settle.ts';
import { lateReason } from './state.ts';

/** For asking whether the key was launched before. */
const findLeaseMs = 30_000;
/** For the submit itself: longer than an engine may take to answer (engineTimeoutMs). */
const submitLeaseMs = 60_000;

/**
 * Moves an attempt that has no handle yet: submits it, adopts the launch that a crash left behind,
 * or ends it where it was cancelled or is too late. Does nothing while another one is at it, and
 * on a target of agents it only ends. What the engine refuses ends the attempt; throws where the
 * engine could not be asked.
 */
export async function submitOrEnd(
  deps: Deps,
  { jobId, attempt: number, dataset }: { jobId: string; attempt: number; dataset: string },
): Promise<void> {
  const key = { jobId, attempt: number };
  const now = deps.now();
  const leaseUntil = new Date(now.getTime() + findLeaseMs);
  const waiting = await findAttempt(deps.database.orm, key);
  if (waiting === undefined) return;
  if (isForAgents(deps, waiting)) {
    await endUnclaimed(deps, waiting);
    return;
  }
  const turn = turnOf(deps, waiting);
  if (turn === 'later') return;
  const lease = { ...key, now, leaseUntil };
  const taken =
    turn === 'withRoom'
      ? takeTurn(deps, waiting, { ...lease, room: roomOf(deps, waiting) })
      : moveToSubmitting(deps.database.orm, lease);
  if (!(await taken)) return;
  const found = await findAttempt(deps.database.orm, key);
  if (found === undefined) return;
  try {
    await launchOrEnd(deps, found, { dataset, leaseUntil });
  } catch (error) {
    if (!isRefusal(error)) {
      await noteDoubt(deps, found, doubtDetail(error));
      throw error;
    }
    const reason = { code: 'config' as const, detail: error.detail };
    await endAttempt(deps, found, withdrawnEnd(deps, found) ?? { state: 'failed', reason });
  }
}

const isForAgents = (deps: Deps, { job }: JobAttempt) =>
  deps.targets.find(({ name }) => name === job.target)?.engine === 'agent';

/**
 * Ends an attempt that waits for an agent, where it was cancelled or is too late and nobody can
 * have launched it.
 */
export async function endUnclaimed(deps: Deps, one: JobAttempt): Promise<boolean> {
  if (mayBeLaunched(one.attempt, deps.now())) return false;
  const over = withdrawnEnd(deps, one);
  return over !== null && (await endAttempt(deps, one, over));
}

async function launchOrEnd(
  deps: Deps,
  found: JobAttempt,
  { dataset, leaseUntil }: { dataset: string; leaseUntil: Date },
): Promise<void> {
  const { job, attempt } = found;
  const key = { jobId: job.id, attempt: attempt.attempt };
  const withdrawn = withdrawnEnd(deps, found);
  // Without a token nothing was ever launched, so its engine, which may be away, need not say so.
  if (withdrawn !== null && attempt.tokenDigest === null) {
    await endAttempt(deps, found, withdrawn);
    return;
  }
  const spec = launchSpec(deps, { job, launchKey: attempt.launchKey, dataset });
  const launcher = await deps.launcherOf(spec.target);
  let lease = leaseUntil;
  let handle = await launcher.find(attempt.launchKey);
  if (handle === null) {
    if (withdrawn !== null) {
      await endAttempt(deps, found, withdrawn);
      return;
    }
    const request = launcher.prepare(spec);
    // Minted only now: `find` has said that no process with an older token exists.
    const token = newSecret(deps.randomBytes);
    const tokenDigest = await sha256Text(token);
    const renewedUntil = new Date(deps.now().getTime() + submitLeaseMs);
    const step = { ...key, tokenDigest, leaseUntil, renewedUntil };
    if (!(await moveAttemptToken(deps.database.orm, step))) return;
    lease = renewedUntil;
    handle = await submitOrAdopt(launcher, request, token);
  }
  const launched = { key, at: deps.now(), handle, leaseUntil: lease };
  // Where the lease has passed, its holder finds this launch by its key, or has voided its token.
  const outcome = await moveToLaunched(deps.database.orm, launched);
  if (outcome === 'ended') await launcher.cancel(handle, 0);
}

/** How an attempt that is not launched ends, where it was cancelled or is too late; else null. */
export function withdrawnEnd(
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

/**
 * Whether an attempt that has no handle is to be moved on `now`, `later`, or `withRoom` on its
 * target, told from its row. An automatic attempt waits for its pause to end.
 */
export function turnOf(deps: Deps, { job, attempt }: JobAttempt): 'now' | 'withRoom' | 'later' {
  const { submitLeaseUntil, notBefore } = attempt;
  if (submitLeaseUntil !== null) return submitLeaseUntil < deps.now() ? 'now' : 'later';
  if (withdrawnEnd(deps, { job, attempt }) !== null) return 'now';
  return notBefore !== null && notBefore > deps.now() ? 'later' : 'withRoom';
}

// A full target keeps attempts in `created`; the tick submits them as others end, oldest first.
function roomOf(deps: Deps, { job: { target } }: JobAttempt): Room | undefined {
  const most = deps.targets.find(({ name }) => name === target)?.limits.jobsAtOnce;
  return most === undefined ? undefined : { target, most };
}

/** Whether an engine was silent, and would be so again at once. */
export function gaveNoAnswer(cause: unknown): boolean {
  return cause instanceof ProblemError && cause.kind === 'unavailable';
}

/**
 * Submits a stored job; where its engine cannot be asked now, the next tick asks again. False where
 * it gave no answer at all.
 */
export async function trySubmit(
  deps: Deps,
  input: Parameters<typeof submitOrEnd>[1],
): Promise<boolean> {
  try {
    await submitOrEnd(deps, input);
    return true;
  } catch (cause) {
    deps.log('warn', `job ${input.jobId} will be submitted when its target can be asked`, {
      cause,
    });
    return !gaveNoAnswer(cause);
  }
}
