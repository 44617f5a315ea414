// Agents: what one claims, and what follows from what it tells of an attempt. It keeps nothing
// between two rounds: a claim answers everything that it needs to go on.

import type {
  AgentAnswer,
  AgentReport,
  AgentWork,
  Claim,
  ClaimAnswer,
} from '../../contract/agents.ts';
import type { LaunchTarget } from '../../contract/targets.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newSecret, sha256Text } from '../../ids.ts';
import {
  findAgent,
  findAttemptByLaunchKey,
  listHeld,
  moveAgentWord,
  moveToClaimed,
} from '../../store/agents.ts';
import { moveToCleaned, moveToTold } from '../../store/attempt-ends.ts';
import {
  findAttempt,
  type JobAttempt,
  moveAttemptToken,
  moveToLaunched,
  moveToSubmitting,
} from '../../store/attempts.ts';
import { listSnapshotNames } from '../../store/jobs.ts';
import { requireTarget } from '../targets.ts';
import { launchWithinMs, leaseSeconds, silentBefore } from './agent-leases.ts';
import { endAttempt } from './end.ts';
import { takeTurn } from './gpu-hours.ts';
import { sweepForMs } from './reconcile.ts';
import { noteDoubt, settleAttempt } from './settle.ts';
import { cancelGraceSeconds } from './state.ts';
import { withdrawnEnd } from './submit.ts';

/**
 * Everything that an agent holds: what it held before, and the oldest attempts that wait, as far as
 * its `most` and the target's `limits.jobsAtOnce` have room. Throws `conflict` for a target that is
 * not for agents, or a name that another actor's agent has.
 */
export async function claimAttempts(
  deps: Deps,
  actor: Actor,
  { target: targetName, ...claim }: { target: string } & Claim,
): Promise<ClaimAnswer> {
  const target = requireAgentTarget(deps, targetName);
  const { workspaceId } = actor;
  const key = { workspaceId, target: target.name, name: claim.agent };
  await requireOwnName(deps, actor, key);
  const now = deps.now();
  await moveToClaimed(deps.database.orm, {
    agent: {
      ...key,
      actor: actor.name,
      version: claim.version,
      findings: claim.findings,
      seenAt: now,
    },
    silentBefore: silentBefore(now),
    most: claim.most ?? Infinity,
    jobsAtOnce: target.limits.jobsAtOnce ?? Infinity,
  });
  const endedSince = new Date(now.getTime() - sweepForMs);
  const held = await listHeld(deps.database.orm, { ...key, endedSince });
  const snapshotIds = [...new Set(held.map(({ job }) => job.snapshotId))];
  const names = await listSnapshotNames(deps.database.orm, snapshotIds);
  const attempts = held.map((one) =>
    workOf(deps, one, { target, dataset: names.get(one.job.snapshotId)?.dataset ?? '' }),
  );
  return { leaseSeconds, attempts };
}

function requireAgentTarget(deps: Deps, name: string): LaunchTarget {
  const target = requireTarget(deps, name);
  if (target.engine === 'agent') return target;
  throw new ProblemError(
    'conflict',
    `Target "${name}" has engine "${target.engine}": the service launches there itself. For agents, give it engine "agent" in CW_TARGETS of the service.`,
  );
}

type Name = { workspaceId: string; target: string; name: string };

async function requireOwnName(deps: Deps, actor: Actor, key: Name): Promise<void> {
  const known = await findAgent(deps.database.orm, key);
  if (known === undefined || known.actor === actor.name) return;
  throw new ProblemError(
    'conflict',
    `Agent "${key.name}" of target "${key.target}" belongs to "${known.actor}", and this token is of "${actor.name}". Start this agent with another --name.`,
  );
}

function workOf(
  deps: Deps,
  one: JobAttempt,
  { target, dataset }: { target: LaunchTarget; dataset: string },
): AgentWork {
  const { job, attempt } = one;
  return {
    id: attempt.launchKey,
    launchKey: attempt.launchKey,
    job: job.id,
    attempt: attempt.attempt,
    image: job.image,
    trainer: job.settings.trainer,
    api: target.api ?? deps.publicUrl,
    dataset,
    resources: job.resources,
    handle: attempt.handle,
    stop: stopOf(deps, one),
    ended: attempt.endedAt !== null,
  };
}

function stopOf(deps: Deps, { job, attempt }: JobAttempt): AgentWork['stop'] {
  const asked = job.cancelRequestedAt !== null || job.stopReason !== null;
  if (attempt.endedAt === null && !asked) return null;
  const now = deps.now().getTime();
  const passed = (now - (attempt.stopToldAt?.getTime() ?? now)) / 1000;
  return { graceSeconds: Math.max(0, Math.ceil(cancelGraceSeconds - passed)) };
}

/**
 * Moves an attempt on by what its agent says. Where `find` knew of no launch, the answer has the
 * token to launch with; a moment later the same question has none, because a launch may be on its
 * way. Throws `conflict` where the agent does not hold the attempt.
 */
export async function reportAttempt(
  deps: Deps,
  actor: Actor,
  { id, ...told }: { id: string } & AgentReport,
): Promise<AgentAnswer> {
  const one = await requireHeld(deps, actor, { id, told });
  const key = { jobId: one.job.id, attempt: one.attempt.attempt };
  const ended = one.attempt.endedAt !== null;
  if (told.cleaned && !ended) {
    throw new ProblemError('conflict', `${id} has not ended; leave it on the engine.`);
  }
  if (told.cleaned) await moveToCleaned(deps.database.orm, key, deps.now());
  const token = !ended && one.attempt.handle === null ? await launched(deps, one, told) : null;
  if (told.stopTold) await moveToTold(deps.database.orm, key, deps.now());
  const { observation } = told;
  const since = await findAttempt(deps.database.orm, key);
  if (since !== undefined && observation !== undefined && isLaunched(since)) {
    await settleAttempt(deps, since, { launcher: null, observation });
  }
  return answerOf(deps, (await findAttempt(deps.database.orm, key)) ?? one, token);
}

const isLaunched = ({ attempt }: JobAttempt) => attempt.endedAt === null && attempt.handle !== null;

function answerOf(deps: Deps, one: JobAttempt, token: string | null): AgentAnswer {
  const { endedAt, cleanedAt, tokenDigest } = one.attempt;
  const ended = endedAt !== null;
  return {
    launch: token === null ? null : { token },
    stop: stopOf(deps, one),
    ended,
    cleanUp: ended && cleanedAt === null && tokenDigest !== null,
  };
}

async function requireHeld(
  deps: Deps,
  actor: Actor,
  { id, told }: { id: string; told: AgentReport },
): Promise<JobAttempt> {
  const { workspaceId } = actor;
  const { agent, observation, handle } = told;
  const one = await findAttemptByLaunchKey(deps.database.orm, { workspaceId, launchKey: id });
  if (one === undefined) {
    throw new ProblemError('not-found', `There is no attempt "${id}" in this workspace.`);
  }
  await requireOwnName(deps, actor, { workspaceId, target: one.job.target, name: agent });
  requireHandle(one, told);
  const key = { jobId: one.job.id, attempt: one.attempt.attempt };
  const word = observation ?? (handle === undefined ? undefined : null);
  if (await moveAgentWord(deps.database.orm, { key, agent, at: deps.now(), word })) return one;
  const holder = one.attempt.agent;
  throw new ProblemError(
    'conflict',
    holder === null
      ? `${id} is not claimed: claim it with POST /v1/agents/${one.job.target}/claim first.`
      : `${id} is held by agent "${holder}", not by "${agent}": leave it alone.`,
  );
}

function requireHandle({ attempt }: JobAttempt, { handle, observation }: AgentReport): void {
  const { launchKey } = attempt;
  const fault = (pointer: string, detail: string) =>
    new ProblemError('unprocessable', `The body is not valid at ${pointer}: ${detail}.`, {
      errors: [{ pointer, detail }],
    });
  if (handle !== undefined && handle.launchKey !== launchKey) {
    throw fault('/handle/launchKey', `this attempt is ${launchKey}`);
  }
  if (attempt.endedAt !== null || (handle ?? attempt.handle) !== null) return;
  const state = observation?.state ?? 'unknown';
  if (state === 'unknown' || state === 'notFound') return;
  throw fault('/handle', `what is ${state} has a handle, from submit or find; send it too`);
}

/** What an attempt without a handle becomes; the token where it is to be launched now. */
async function launched(deps: Deps, one: JobAttempt, told: AgentReport): Promise<string | null> {
  const { handle, refused, observation } = told;
  const key = { jobId: one.job.id, attempt: one.attempt.attempt };
  if (handle !== undefined) {
    const leaseUntil = one.attempt.submitLeaseUntil;
    await moveToLaunched(deps.database.orm, { key, at: deps.now(), handle, leaseUntil });
    return null;
  }
  if (refused !== undefined) {
    const reason = { code: 'config' as const, detail: refused };
    await endAttempt(deps, one, withdrawnEnd(deps, one) ?? { state: 'failed', reason });
    return null;
  }
  if (observation === undefined) return null;
  if (observation.state === 'notFound') return await tokenOf(deps, one);
  await noteDoubt(deps, one, observation.detail);
  return null;
}

// `find` has said that no such launch exists, so a token made now is the only one that can be used.
// Not where a trainer has spoken: then it was launched, and its engine has forgotten it.
async function tokenOf(deps: Deps, one: JobAttempt): Promise<string | null> {
  const { job, attempt } = one;
  if (attempt.lastContactAt !== null) {
    await settleAttempt(deps, one, { launcher: null, observation: { state: 'notFound' } });
    return null;
  }
  const over = withdrawnEnd(deps, one);
  if (over !== null) {
    await endAttempt(deps, one, over);
    return null;
  }
  const key = { jobId: job.id, attempt: attempt.attempt };
  const now = deps.now();
  const leaseUntil = new Date(now.getTime() + launchWithinMs);
  const lease = { ...key, now, leaseUntil };
  // One that had its turn before, and whose launch was lost, is counted already.
  const taken =
    attempt.submitLeaseUntil === null
      ? takeTurn(deps, one, lease)
      : moveToSubmitting(deps.database.orm, lease);
  if (!(await taken)) return null;
  const token = newSecret(deps.randomBytes);
  const tokenDigest = await sha256Text(token);
  const step = { ...key, tokenDigest, leaseUntil, renewedUntil: leaseUntil };
  return (await moveAttemptToken(deps.database.orm, step)) ? token : null;
}
