// One tick: what the engines say of every live attempt, and what follows. Batched per target, safe
// to run twice at once; an engine that cannot be asked leaves its jobs as they are.

import type { LaunchTarget } from '../../contract/targets.ts';
import type { Deps } from '../../deps.ts';
import type { Launcher, Observation } from '../../launchers/launcher.ts';
import { type AttemptRow, type JobRow, listLiveAttempts, moveAttempt } from '../../store/jobs.ts';
import { findSnapshotById } from '../../store/snapshots.ts';
import { cancelGraceSeconds } from './cancel.ts';
import { endAttempt } from './end.ts';
import { finishGraceMs, verdictOn } from './state.ts';
import { submitAttempt } from './submit.ts';

type Live = { job: JobRow; attempt: AttemptRow };

/** Asks every engine about its live attempts and moves them on. */
export async function reconcileJobs(deps: Deps): Promise<void> {
  const live = await listLiveAttempts(deps.database.orm);
  for (const target of deps.targets) {
    const mine = live.filter(({ job }) => job.target === target.name);
    if (mine.length === 0) continue;
    try {
      await reconcileTarget(deps, target, mine);
    } catch (cause) {
      deps.log('warn', `target "${target.name}" could not be asked`, { cause });
    }
  }
}

async function reconcileTarget(deps: Deps, target: LaunchTarget, live: Live[]): Promise<void> {
  const launcher = await deps.launcherOf(target);
  for (const one of live.filter(({ attempt }) => attempt.handle === null)) {
    await resubmit(deps, one, launcher);
  }
  const launched = live.filter(({ attempt }) => attempt.handle !== null);
  if (launched.length === 0) return;
  const handles = launched.map(
    ({ attempt }) => attempt.handle as NonNullable<AttemptRow['handle']>,
  );
  const observations = await launcher.poll(handles);
  for (const one of launched) {
    const observation = observations.get(one.attempt.launchKey) ?? { state: 'unknown' as const };
    await settle(deps, launcher, { ...one, observation });
  }
}

async function resubmit(deps: Deps, { job, attempt }: Live, launcher: Launcher): Promise<void> {
  if (job.cancelRequestedAt !== null && (await launcher.find(attempt.launchKey)) === null) {
    return await endAttempt(deps, { job, attempt }, { state: 'cancelled', reason: null });
  }
  const snapshot = await findSnapshotById(deps.database.orm, job.snapshotId);
  await submitAttempt(deps, { job, attempt, dataset: snapshot?.header.dataset ?? '' });
}

async function settle(
  deps: Deps,
  launcher: Launcher,
  { job, attempt, observation }: Live & { observation: Observation },
): Promise<void> {
  const now = deps.now();
  const cancelRequested = job.cancelRequestedAt !== null;
  const verdict = verdictOn(
    { ...attempt, cancelRequested, resources: job.resources },
    observation,
    now,
  );
  const handle = attempt.handle as NonNullable<AttemptRow['handle']>;
  if (verdict.kind === 'end') {
    await endAttempt(deps, { job, attempt }, verdict);
    await launcher.cleanup(handle);
    return;
  }
  if (verdict.kind === 'timeOut') {
    await launcher.cancel(handle, cancelGraceSeconds);
    return await endAttempt(deps, { job, attempt }, { state: 'timedOut', reason: verdict.reason });
  }
  if (verdict.state === 'finishing' && overstays(attempt, now)) await launcher.cancel(handle, 0);
  if (cancelRequested) await launcher.cancel(handle, cancelGraceSeconds);
  await record(deps, { attempt, observation, now }, verdict);
}

function overstays({ lastContactAt }: AttemptRow, now: Date): boolean {
  return lastContactAt !== null && now.getTime() - lastContactAt.getTime() > finishGraceMs;
}

// Nothing is written where nothing changed: a tick over a hundred quiet jobs costs one read.
async function record(
  deps: Deps,
  { attempt, observation, now }: { attempt: AttemptRow; observation: Observation; now: Date },
  { state, missing }: { state: AttemptRow['state']; missing: boolean },
): Promise<void> {
  const started = attempt.startedAt ?? (state === 'starting' || state === 'running' ? now : null);
  const same =
    attempt.state === state &&
    !missing &&
    attempt.missingPolls === 0 &&
    attempt.startedAt === started;
  if (same) return;
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    at: now,
    change: {
      state,
      observation: { ...observation },
      missingPolls: missing ? attempt.missingPolls + 1 : 0,
      missingSince: missing ? (attempt.missingSince ?? now) : null,
      ...(started === null ? {} : { startedAt: started }),
    },
  });
}
