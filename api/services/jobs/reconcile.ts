// One tick: what the engines say of every live attempt, and what follows. Batched per target, safe
// to run twice at once; an engine that cannot be asked leaves its jobs as they are.

import type { LaunchTarget } from '../../contract/targets.ts';
import type { Deps } from '../../deps.ts';
import { listUncleaned } from '../../store/attempt-ends.ts';
import { countLaunched, type JobAttempt, listLiveAttempts } from '../../store/attempts.ts';
import { askedEngine, type Engine, withoutTarget } from './engines.ts';
import { gpuWait, noteGpuWait } from './gpu-hours.ts';
import { datasetOfJob } from './read.ts';
import { noteDoubt, settleAttempt, sweepAttempt } from './settle.ts';
import { endUnclaimed, gaveNoAnswer, submitOrEnd, turnOf } from './submit.ts';

/** How long the engine of an ended attempt is asked to clear up after it. */
export const sweepForMs = 7 * 86_400_000;
/** An attempt that ended so recently is swept at once, an older one at the target's pace. */
const freshMs = 120_000;

// The targets whose engine is being asked. Not kept beyond the work itself: what workerd breaks off
// never takes its mark away.
const underWay = new WeakMap<object, Set<string>>();

/** Asks every engine about its attempts and moves them on; done when the slowest one is. */
export async function reconcileJobs(deps: Deps): Promise<void> {
  await Promise.all(await startReconciling(deps));
}

/**
 * Begins what `reconcileJobs` does and answers one promise per target, so that a caller with a
 * clock need not wait for an engine that hangs: a target that this process is still asking is left
 * alone.
 */
export async function startReconciling(deps: Deps): Promise<Promise<void>[]> {
  const now = deps.now().getTime();
  const live = await listLiveAttempts(deps.database.orm);
  const ended = await listUncleaned(deps.database.orm, new Date(now - sweepForMs));
  const names = new Set([...live, ...ended].map(({ job }) => job.target));
  const owner = deps.sharedWork ?? deps.process;
  const busy = underWay.get(owner) ?? new Set<string>();
  underWay.set(owner, busy);
  const idle = [...names].filter((name) => !busy.has(name));
  return idle.map(async (name) => {
    const of = (attempts: JobAttempt[]) => attempts.filter(({ job }) => job.target === name);
    busy.add(name);
    try {
      await reconcileTarget(deps, name, { live: of(live), ended: of(ended) });
    } finally {
      busy.delete(name);
    }
  });
}

async function reconcileTarget(
  deps: Deps,
  name: string,
  { live, ended }: { live: JobAttempt[]; ended: JobAttempt[] },
): Promise<void> {
  const now = deps.now().getTime();
  const target = deps.targets.find((one) => one.name === name);
  const fresh = (at: Date | null) => at !== null && now - at.getTime() < freshMs;
  const eager = live.some(awaitsEnd) || ended.some(({ attempt }) => fresh(attempt.endedAt));
  const engine =
    target === undefined
      ? withoutTarget(name)
      : await askedEngine(deps, target, { attempts: [...live, ...ended], eager });
  const mayGo = (one: JobAttempt) => one.attempt.handle === null && engine.launcher !== null;
  for (const one of live) {
    if (!mayGo(one)) await guarded(deps, one, () => settle(deps, engine, one));
  }
  if (target !== undefined) await submitWaiting(deps, target, live.filter(mayGo));
  for (const one of ended) await guarded(deps, one, () => sweep(deps, engine, one));
}

// Its trainer or a person has said that it ends, so its engine will have news.
function awaitsEnd({ job, attempt }: JobAttempt): boolean {
  return attempt.finish !== null || job.cancelRequestedAt !== null || job.stopReason !== null;
}

// What must wait is told from what the tick has read: a thousand waiting attempts ask nothing. An
// engine that gives no answer is not asked for the next ones too, each with a time-out of its own.
async function submitWaiting(
  deps: Deps,
  target: LaunchTarget,
  waiting: JobAttempt[],
): Promise<void> {
  if (waiting.length === 0) return;
  const { name, limits } = target;
  const { jobsAtOnce } = limits;
  const noGpus = await gpuWait(deps, target);
  const launched = jobsAtOnce && (await countLaunched(deps.database.orm, name));
  let room = (jobsAtOnce ?? Infinity) - (launched ?? 0);
  for (const one of waiting) {
    const turn = turnOf(deps, one);
    if (turn === 'later' || (turn === 'withRoom' && room <= 0)) continue;
    const { job, attempt } = one;
    if (turn === 'withRoom' && noGpus !== null && job.resources.gpus.count > 0) {
      await noteGpuWait(deps, one, noGpus);
      continue;
    }
    if (turn === 'withRoom') room -= 1;
    const cause = await guarded(deps, one, async () => {
      const dataset = await datasetOfJob(deps, job);
      await submitOrEnd(deps, { jobId: job.id, attempt: attempt.attempt, dataset });
    });
    if (gaveNoAnswer(cause)) return;
  }
}

// One attempt's trouble is not its neighbours'. Answers what went wrong, or null.
async function guarded(
  deps: Deps,
  { attempt }: JobAttempt,
  act: () => Promise<void>,
): Promise<unknown> {
  try {
    await act();
    return null;
  } catch (cause) {
    deps.log('warn', `${attempt.launchKey} could not be moved on`, { cause });
    return cause;
  }
}

async function settle(
  deps: Deps,
  { launcher, observationOf, waitsFor }: Engine,
  one: JobAttempt,
): Promise<void> {
  const { attempt } = one;
  if (waitsFor !== undefined && attempt.handle === null && attempt.lastContactAt === null) {
    const why = waitsFor(one);
    if (!(await endUnclaimed(deps, one)) && why !== undefined) await noteDoubt(deps, one, why);
    return;
  }
  if (observationOf === null) return;
  const observation = observationOf(attempt.launchKey);
  await settleAttempt(deps, one, { launcher, observation });
}

async function sweep(
  deps: Deps,
  { launcher, observationOf }: Engine,
  one: JobAttempt,
): Promise<void> {
  if (observationOf === null) return;
  const observation = observationOf(one.attempt.launchKey);
  await sweepAttempt(deps, one, { launcher, observation });
}
