// The GPU hours of a target, `limits.gpuHoursPerDay`, over the last 24 hours and all workspaces,
// for the machine is one. Where they are used up, launches are refused; where launched attempts
// may still use them up, others wait in `created`.

import type { Resources } from '../../contract/settings.ts';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import {
  type AttemptKey,
  type JobAttempt,
  moveAttempt,
  moveToSubmitting,
  type Room,
} from '../../store/attempts.ts';
import { everyWorkspace } from '../../store/database.ts';
import { type GpuUse, listGpuUse, moveToSubmittingWithin } from '../../store/gpu-hours.ts';
import { countedHours, hoursOfOne, roomAt, shownHours, usedHours, windowMs } from './gpu-sums.ts';

/** A waiting attempt says why again after so long, with the numbers of then. */
const sameNewsMs = 3_600_000;
/** From this share on, the check of a target warns. */
const warnAtShare = 0.9;

const everyoneOn = (deps: Deps) => deps.database.within(everyWorkspace);
const windowOf = (deps: Deps) => new Date(deps.now().getTime() - windowMs);

/** Seconds that a job may run where neither it nor the target says so: not over the limit alone. */
export function usualTimeout(
  { limits: { gpuHoursPerDay: limit } }: LaunchTarget,
  { gpus, timeoutSeconds }: Resources,
): number {
  if (limit === undefined || gpus.count === 0) return timeoutSeconds;
  return Math.max(1, Math.min(timeoutSeconds, Math.floor((limit * 3600) / gpus.count)));
}

/**
 * Throws `rate-limited`, with the numbers, where a target has no GPU hours left, or where one of
 * the jobs may use more in a day than the target gives to all.
 */
export async function requireGpuHours(
  deps: Deps,
  target: LaunchTarget,
  asked: Resources[],
): Promise<void> {
  const limit = target.limits.gpuHoursPerDay;
  const withGpus = asked.filter(({ gpus }) => gpus.count > 0);
  if (limit === undefined || withGpus.length === 0) return;
  for (const one of withGpus) requireFits(target, limit, one);
  const now = deps.now();
  const uses = await listGpuUse(everyoneOn(deps), {
    targets: [target.name],
    since: windowOf(deps),
  });
  const used = usedHours(uses, now);
  if (used < limit) return;
  const hours = withGpus.reduce((sum, one) => sum + hoursOfOne(one), 0);
  const room = roomAt(uses, { limit, now });
  throw new ProblemError(
    'rate-limited',
    `Target "${target.name}" has used ${shownHours(used)} GPU hours in the last 24 hours, of all workspaces together, and its limit is ${shownHours(limit)} (gpuHoursPerDay); this asks for up to ${shownHours(hours)}. There is room at ${room.toISOString()} at the earliest, later where jobs go on running. Nothing was started.`,
    { retryAfterSeconds: Math.ceil((room.getTime() - now.getTime()) / 1000) },
  );
}

function requireFits(target: LaunchTarget, limit: number, one: Resources): void {
  const hours = hoursOfOne(one);
  if (hours <= limit) return;
  const { gpus, timeoutSeconds } = one;
  const most = usualTimeout(target, one);
  throw new ProblemError(
    'rate-limited',
    `Target "${target.name}" has a limit of ${shownHours(limit)} GPU hours in 24 hours (gpuHoursPerDay); this asks for up to ${shownHours(hours)} for one job (gpus.count ${gpus.count}, timeoutSeconds ${timeoutSeconds}). Ask for fewer GPUs, or for timeoutSeconds ${most} or less: a retry goes on from the checkpoint.`,
    { errors: [{ pointer: '/resources/timeoutSeconds', detail: `${most} fits the limit` }] },
  );
}

/**
 * Takes the right to submit an attempt, as `moveToSubmitting` does, while what its target has used
 * and what its launched attempts may still use is under the limit. False, and a word about it in
 * the events, where the attempt has to wait.
 */
export async function takeTurn(
  deps: Deps,
  one: JobAttempt,
  lease: AttemptKey & { now: Date; leaseUntil: Date; room?: Room },
): Promise<boolean> {
  const { target, resources } = one.job;
  const limit = deps.targets.find(({ name }) => name === target)?.limits.gpuHoursPerDay;
  if (limit === undefined || resources.gpus.count === 0) {
    return await moveToSubmitting(everyoneOn(deps), lease);
  }
  const since = windowOf(deps);
  const hasRoom = (uses: GpuUse[]) => countedHours(uses, lease.now) < limit;
  const uses = await listGpuUse(everyoneOn(deps), { targets: [target], since });
  if (hasRoom(uses)) {
    return await moveToSubmittingWithin(everyoneOn(deps), { ...lease, target, since }, hasRoom);
  }
  await noteGpuWait(deps, one, waitSentence(uses, { limit, now: lease.now }));
  return false;
}

/** Why attempts with GPUs have to wait on a target just now; null where there is room. */
export async function gpuWait(deps: Deps, { name, limits }: LaunchTarget): Promise<string | null> {
  const limit = limits.gpuHoursPerDay;
  if (limit === undefined) return null;
  const uses = await listGpuUse(everyoneOn(deps), { targets: [name], since: windowOf(deps) });
  const now = deps.now();
  return countedHours(uses, now) < limit ? null : waitSentence(uses, { limit, now });
}

function waitSentence(uses: GpuUse[], { limit, now }: { limit: number; now: Date }): string {
  const used = usedHours(uses, now);
  const more = countedHours(uses, now) - used;
  return `waits for GPU hours of its target: ${shownHours(used)} of ${shownHours(limit)} are used in the last 24 hours (gpuHoursPerDay, all workspaces), and launched jobs may use up to ${shownHours(more)} more (timeoutSeconds)`;
}

/** Notes on an attempt why it waits, where that is news. */
export async function noteGpuWait(
  deps: Deps,
  { attempt }: JobAttempt,
  detail: string,
): Promise<void> {
  const at = deps.now();
  const last = attempt.observation;
  const fresh = at.getTime() - Date.parse(String(last?.since)) < sameNewsMs;
  if (last?.state === 'waiting' && fresh) return;
  const { state } = attempt;
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    from: state,
    at,
    change: { state, observation: { state: 'waiting', detail, since: at.toISOString() } },
    news: { state: 'waiting', detail },
  });
}

/** How a target stands with its limit; see `targetSchema`. */
export type GpuHours = { used: number; counted: number; limit: number };

/** Of every target that has a limit, by name. */
export async function gpuHoursOfTargets(
  deps: Deps,
  targets: LaunchTarget[],
): Promise<Map<string, GpuHours>> {
  const limited = targets.filter(({ limits }) => limits.gpuHoursPerDay !== undefined);
  const names = limited.map(({ name }) => name);
  const uses = await listGpuUse(everyoneOn(deps), { targets: names, since: windowOf(deps) });
  const now = deps.now();
  return new Map(
    limited.map(({ name, limits }) => {
      const own = uses.filter(({ target }) => target === name);
      const limit = limits.gpuHoursPerDay as number;
      return [name, { used: usedHours(own, now), counted: countedHours(own, now), limit }];
    }),
  );
}

/** A warning where most of a target's GPU hours are used. */
export async function gpuHoursFindings(deps: Deps, target: LaunchTarget): Promise<Finding[]> {
  const hours = (await gpuHoursOfTargets(deps, [target])).get(target.name);
  if (hours === undefined || hours.used < warnAtShare * hours.limit) return [];
  const { used, limit } = hours;
  const detail = `${shownHours(used)} of ${shownHours(limit)} GPU hours are used in the last 24 hours (gpuHoursPerDay); at the limit, launches are refused`;
  return [{ severity: 'warning', detail }];
}
