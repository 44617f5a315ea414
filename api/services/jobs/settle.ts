// One attempt after its engine's word: what is recorded, how it ends, what its engine is told.

import type { Deps } from '../../deps.ts';
import type { Handle, Launcher, Observation } from '../../launchers/launcher.ts';
import { moveToCleaned, moveToTold } from '../../store/attempt-ends.ts';
import { type JobAttempt, moveAttempt } from '../../store/attempts.ts';
import { endAttempt } from './end.ts';
import { cancelGraceSeconds, type Verdict, verdictOn } from './state.ts';

/** Moves a launched attempt on by what its engine says. */
export async function settleAttempt(
  deps: Deps,
  one: JobAttempt,
  { launcher, observation }: { launcher: Launcher | null; observation: Observation },
): Promise<void> {
  const { job, attempt } = one;
  const now = deps.now();
  const { stopReason, resources } = job;
  const cancelRequested = job.cancelRequestedAt !== null;
  const live = { ...attempt, cancelRequested, stopReason, resources };
  const verdict = verdictOn(live, observation, now);
  if (verdict.kind === 'end') {
    const { output } = observation;
    const grace = verdict.stopWithin;
    if (!(await endAttempt(deps, one, { ...verdict, output })) || grace === null) return;
    await tell(deps, launcher, one, (engine) => stopOnEngine(deps, engine, one, grace));
    return;
  }
  await record(deps, { one, observation, now }, verdict);
  if (!cancelRequested && stopReason === null) return;
  await tell(deps, launcher, one, (engine) => stopOnEngine(deps, engine, one));
}

/**
 * Tells an engine to stop an attempt. Told anew at every tick: what does not hear SIGTERM is killed
 * once the grace, which counts from the first telling, is over.
 */
export async function stopOnEngine(
  deps: Deps,
  launcher: Launcher,
  { attempt }: JobAttempt,
  graceSeconds = cancelGraceSeconds,
): Promise<void> {
  if (attempt.handle === null) return;
  const now = deps.now();
  const passed = (now.getTime() - (attempt.stopToldAt ?? now).getTime()) / 1000;
  await launcher.cancel(attempt.handle, Math.max(0, Math.ceil(graceSeconds - passed)));
  if (attempt.stopToldAt !== null) return;
  const key = { jobId: attempt.jobId, attempt: attempt.attempt };
  await moveToTold(deps.database.orm, key, now);
}

/**
 * Clears up after an ended attempt: what still runs on its engine is stopped, what it left there is
 * removed. Asked again by every tick until the engine has nothing of it.
 */
export async function sweepAttempt(
  deps: Deps,
  one: JobAttempt,
  { launcher, observation }: { launcher: Launcher | null; observation: Observation },
): Promise<void> {
  const { attempt } = one;
  const { state } = observation;
  if (state === 'unknown' || launcher === null || attempt.endedAt === null) return;
  const now = deps.now();
  const runs = state === 'queued' || state === 'starting' || state === 'running';
  await tell(deps, launcher, one, async (engine, handle) => {
    if (runs) {
      await stopOnEngine(deps, engine, one);
      return;
    }
    if (state !== 'notFound') await engine.cleanup(handle);
    const key = { jobId: attempt.jobId, attempt: attempt.attempt };
    await moveToCleaned(deps.database.orm, key, now);
  });
}

// An attempt is over here even where its engine cannot be told: its token is revoked, and the
// trainer stops at its next report.
async function tell(
  deps: Deps,
  launcher: Launcher | null,
  { attempt }: JobAttempt,
  act: (launcher: Launcher, handle: Handle) => Promise<unknown>,
): Promise<void> {
  if (launcher === null || attempt.handle === null) return;
  try {
    await act(launcher, attempt.handle);
  } catch (cause) {
    deps.log('warn', `the engine could not be told to stop ${attempt.launchKey}`, { cause });
  }
}

/** An engine that gives new words for the same state is heard once in so long. */
const sameStateNewsMs = 60_000;

// Nothing is written where nothing changed: a tick over a hundred quiet jobs costs one read.
async function record(
  deps: Deps,
  { one, observation, now }: { one: JobAttempt; observation: Observation; now: Date },
  { state, missing }: Extract<Verdict, { kind: 'stay' }>,
): Promise<void> {
  const { attempt } = one;
  const runs = state === 'starting' || state === 'running';
  const startedAt = attempt.startedAt ?? (runs ? now : null);
  const isNews = hasNews(attempt.observation, observation, now);
  const same = attempt.state === state && !isNews && attempt.startedAt === startedAt;
  if (same && !missing) return;
  const { output: _, ...word } = observation;
  const since = isNews ? now.toISOString() : attempt.observation?.since;
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    from: attempt.state,
    at: now,
    change: {
      state,
      observation: { ...word, since },
      missingPolls: missing ? attempt.missingPolls + 1 : 0,
      missingSince: missing ? (attempt.missingSince ?? now) : null,
      ...(startedAt === null ? {} : { startedAt }),
    },
    ...(isNews ? { news: { state: word.state, detail: word.detail } } : {}),
  });
}

function hasNews(
  last: JobAttempt['attempt']['observation'],
  { state, detail }: Observation,
  now: Date,
): boolean {
  if (last?.state !== state) return true;
  if (last.detail === detail) return false;
  return now.getTime() - Date.parse(String(last.since)) >= sameStateNewsMs;
}

/** Notes on an attempt that is not launched yet why its engine could not be asked. */
export async function noteDoubt(
  deps: Deps,
  { attempt }: JobAttempt,
  detail: string | undefined,
): Promise<void> {
  const at = deps.now();
  if (!hasNews(attempt.observation, { state: 'unknown', detail }, at)) return;
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    from: attempt.state,
    at,
    change: {
      state: attempt.state,
      observation: { state: 'unknown', detail, since: at.toISOString() },
    },
    news: { state: 'unknown', detail },
  });
}
