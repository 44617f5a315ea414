// One tick: what the engines say of every live attempt, and what follows. Batched per target, safe
// to run twice at once; an engine that cannot be asked leaves its jobs as they are.

import type { LaunchTarget } from '../../contract/targets.ts';
import type { Deps } from '../../deps.ts';
import type { Handle, Launcher, Observation } from '../../launchers/launcher.ts';
import { type JobAttempt, listLiveAttempts, moveAttempt } from '../../store/attempts.ts';
import { endAttempt } from './end.ts';
import { datasetOfJob } from './read.ts';
import { cancelGraceSeconds, type Verdict, verdictOn } from './state.ts';
import { submitOrEnd } from './submit.ts';

/** Null where the target is no longer configured, or its launcher cannot be had. */
type Engine = { launcher: Launcher | null; observationOf: (launchKey: string) => Observation };

/** Asks every engine about its live attempts and moves them on. */
export async function reconcileJobs(deps: Deps): Promise<void> {
  const live = await listLiveAttempts(deps.database.orm);
  const names = new Set(live.map(({ job }) => job.target));
  await Promise.all(
    [...names].map(async (name) => {
      const mine = live.filter(({ job }) => job.target === name);
      const target = deps.targets.find((one) => one.name === name);
      const engine =
        target === undefined ? withoutTarget(name) : await askedEngine(deps, target, mine);
      for (const one of mine) await step(deps, engine, one);
    }),
  );
}

// Its jobs are missing from then on, and lost when their trainers stay silent.
function withoutTarget(name: string): Engine {
  const detail = `target "${name}" is no longer configured`;
  return { launcher: null, observationOf: () => ({ state: 'notFound', detail }) };
}

const unknown: Observation = { state: 'unknown' };

async function askedEngine(deps: Deps, target: LaunchTarget, live: JobAttempt[]): Promise<Engine> {
  let launcher: Launcher | null = null;
  const handles = live.map(({ attempt }) => attempt.handle).filter((handle) => handle !== null);
  try {
    launcher = await deps.launcherOf(target);
    const told = handles.length === 0 ? new Map() : await launcher.poll(handles);
    return { launcher, observationOf: (launchKey) => told.get(launchKey) ?? unknown };
  } catch (cause) {
    if (live.some(({ attempt }) => attempt.observation?.state !== 'unknown')) {
      deps.log('warn', `target "${target.name}" could not be asked`, { cause });
    }
    return { launcher, observationOf: () => unknown };
  }
}

// One attempt's trouble is not its neighbours'.
async function step(deps: Deps, engine: Engine, one: JobAttempt): Promise<void> {
  const { job, attempt } = one;
  try {
    if (attempt.handle === null && engine.launcher !== null) {
      const dataset = await datasetOfJob(deps, job);
      await submitOrEnd(deps, { jobId: job.id, attempt: attempt.attempt, dataset });
    } else {
      await settle(deps, engine, one);
    }
  } catch (cause) {
    deps.log('warn', `${attempt.launchKey} could not be moved on`, { cause });
  }
}

async function settle(deps: Deps, engine: Engine, one: JobAttempt): Promise<void> {
  const { job, attempt } = one;
  const now = deps.now();
  const observation = engine.observationOf(attempt.launchKey);
  const cancelRequested = job.cancelRequestedAt !== null;
  const { stopReason, resources } = job;
  const live = { ...attempt, cancelRequested, stopReason, resources };
  const verdict = verdictOn(live, observation, now);
  if (verdict.kind === 'end') {
    if (!(await endAttempt(deps, one, verdict))) return;
    await tell(deps, engine, one, async (launcher, handle) => {
      if (verdict.stopWithin === null) await launcher.cleanup(handle);
      else await launcher.cancel(handle, verdict.stopWithin);
    });
    return;
  }
  await record(deps, { one, observation, now }, verdict);
  if (!cancelRequested && stopReason === null) return;
  await tell(deps, engine, one, async (launcher, handle) => {
    await launcher.cancel(handle, cancelGraceSeconds);
  });
}

// An attempt is over here even where its engine cannot be told: its token is revoked, and the
// trainer stops at its next report.
async function tell(
  deps: Deps,
  { launcher }: Engine,
  { attempt }: JobAttempt,
  act: (launcher: Launcher, handle: Handle) => Promise<void>,
): Promise<void> {
  if (launcher === null || attempt.handle === null) return;
  try {
    await act(launcher, attempt.handle);
  } catch (cause) {
    deps.log('warn', `the engine could not be told to stop ${attempt.launchKey}`, { cause });
  }
}

// Nothing is written where nothing changed: a tick over a hundred quiet jobs costs one read.
async function record(
  deps: Deps,
  { one, observation, now }: { one: JobAttempt; observation: Observation; now: Date },
  { state, missing }: Extract<Verdict, { kind: 'stay' }>,
): Promise<void> {
  const { attempt } = one;
  const runs = state === 'starting' || state === 'running';
  const startedAt = attempt.startedAt ?? (runs ? now : null);
  const same =
    attempt.state === state &&
    attempt.observation?.state === observation.state &&
    attempt.startedAt === startedAt;
  if (same && !missing) return;
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    from: attempt.state,
    at: now,
    change: {
      state,
      observation: { ...observation, since: now.toISOString() },
      missingPolls: missing ? attempt.missingPolls + 1 : 0,
      missingSince: missing ? (attempt.missingSince ?? now) : null,
      ...(startedAt === null ? {} : { startedAt }),
    },
  });
}
