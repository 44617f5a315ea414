// Waiting for jobs: a line in the log for whatever is new, until all have ended, the time is over
// or the workflow is cancelled. A service that is away is waited for; jobs go on without it.

import { endStates } from '../../api/contract/job-states.ts';
import type { Job } from '../../api/contract/jobs.ts';
import { isFailure } from './failure.ts';
import type { Service, World } from './service.ts';

export type End = 'ended' | 'timedOut' | 'cancelled';

export const hasEnded = ({ state }: Pick<Job, 'state'>) => endStates.includes(state);

/** A job as lines call it: by its fold, or where it is alone by its id. */
export const nameOf = (job: Job, jobs: readonly Job[]) =>
  jobs.length === 1 ? `job ${job.id}` : `fold ${job.snapshot.fold}`;

/** The state of a job and why. */
export const stateText = ({ state, reason }: Pick<Job, 'state' | 'reason'>): string =>
  reason === null ? state : `${state} (${reason.code}: ${reason.detail})`;

type Followed = { name: string; job: Job; after: number };

/** Follows jobs; answers how they stand at its end. */
export async function followJobs(
  world: World,
  service: Service,
  jobs: readonly Job[],
  { pollMs, timeoutMs, stop }: { pollMs: number; timeoutMs: number; stop: AbortSignal },
): Promise<{ end: End; jobs: Job[] }> {
  const giveUpAt = world.now() + timeoutMs;
  const followed = jobs.map((job): Followed => ({ name: nameOf(job, jobs), job, after: 0 }));
  let away = false;
  for (;;) {
    const standing = followed.map(({ job }) => job);
    if (standing.every(hasEnded)) return { end: 'ended', jobs: standing };
    if (stop.aborted) return { end: 'cancelled', jobs: standing };
    if (world.now() >= giveUpAt) return { end: 'timedOut', jobs: standing };
    await world.sleep(Math.min(pollMs, giveUpAt - world.now()), stop);
    const silence = stop.aborted ? null : await readAll(world, service, followed, stop);
    if (silence !== null && !away) world.log(`${silence}; waiting for it`);
    if (silence === null && away && !stop.aborted) world.log('the service answers again');
    away = silence !== null;
  }
}

// What the silence is about, or null where the service answered; a refusal is thrown.
async function readAll(
  world: World,
  service: Service,
  followed: Followed[],
  signal: AbortSignal,
): Promise<string | null> {
  try {
    for (const one of followed) {
      if (!hasEnded(one.job)) await readOne(world, service, one, signal);
    }
    return null;
  } catch (error) {
    if (signal.aborted) return null;
    if (!isFailure(error) || !error.silent) throw error;
    return error.message;
  }
}

async function readOne(
  world: World,
  service: Service,
  one: Followed,
  signal: AbortSignal,
): Promise<void> {
  const path = { id: one.job.id };
  const job = await service.ask('GET /v1/jobs/{id}', { path, signal });
  for (const line of newsOf(one.job, job)) world.log(`${one.name}: ${line}`);
  one.job = job;
  const query = { name: 'diceMean', after: one.after, limit: 5_000 };
  const { items } = await service.ask('GET /v1/jobs/{id}/metrics', { path, query, signal });
  for (const { sequence, value, step, group, class: label } of items) {
    one.after = sequence;
    if (group === null && label === null) {
      world.log(`${one.name}: validated after step ${step}, mean Dice ${value.toFixed(3)}`);
    }
  }
}

/** What is to be told of a job that was read again. */
export function newsOf(before: Job, now: Job): string[] {
  const heard = detailOf(now);
  const known = new Set(before.snapshots.map(({ digest, fromEpoch }) => `${fromEpoch} ${digest}`));
  return [
    ...(now.state === before.state ? [] : [stateText(now)]),
    ...(now.attempts.length > before.attempts.length && before.attempts.length > 0
      ? [`attempt ${now.attempts.length} follows on one that ${stateText(now.attempts.at(-2)!)}`]
      : []),
    ...(heard === undefined || heard === detailOf(before) ? [] : [heard]),
    ...(now.verifiedDraws.mismatch > before.verifiedDraws.mismatch
      ? ["an epoch's draws are not the planned ones"]
      : []),
    ...Object.entries(now.monitors).flatMap(([name, one]) => {
      const old = before.monitors[name as keyof Job['monitors']]?.findings ?? 0;
      return one === undefined || one.findings === old
        ? []
        : [`monitor ${name} (${one.action}): ${one.sentence}`];
    }),
    ...now.snapshots
      .filter(({ digest, fromEpoch }) => !known.has(`${fromEpoch} ${digest}`))
      .map((one) => `draws by ${one.digest} from epoch ${one.fromEpoch} on (${one.cause})`),
  ];
}

const detailOf = ({ attempts }: Job) => attempts.at(-1)?.observation?.detail as string | undefined;
