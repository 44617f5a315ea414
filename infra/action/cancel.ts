// Cancelling what a step launched. A runner gives a cancelled step seven and a half seconds before
// it is killed, so all of it has a deadline.

import type { Job } from '../../api/contract/jobs.ts';
import type { RenewableToken } from '../../api/contract/sending.ts';
import { isFailure } from './failure.ts';
import { serviceOf, type World } from './service.ts';

/** All requests together: less than a runner waits, so that outputs can be written. */
export const cancelMs = 6_000;

export type Cancelled = { jobs: Job[]; faults: string[] };

/** Asks for the end of every job, at once; answers how they stand, and what went wrong. */
export async function cancelJobs(
  world: World,
  { api, token }: { api: string; token: string | RenewableToken },
  asked: { ids: readonly string[]; reason: string; withinMs?: number },
): Promise<Cancelled> {
  const { ids, reason, withinMs = cancelMs } = asked;
  const signal = AbortSignal.timeout(withinMs);
  // Asking twice is no fault, so this may be sent again although it carries no key.
  const service = serviceOf(world, {
    api,
    token,
    mayRepeat: () => true,
    patience: { forMs: withinMs },
    timeoutMs: withinMs / 3,
  });
  const found: Cancelled = { jobs: [], faults: [] };
  await Promise.all(
    ids.map(async (id) => {
      const request = { path: { id }, body: { reason }, signal };
      try {
        found.jobs.push(await service.ask('POST /v1/jobs/{id}/cancel', request));
      } catch (error) {
        if (isFailure(error) && error.problem?.status === 409) return; // it had ended already
        found.faults.push(`job ${id} could not be cancelled: ${(error as Error).message}`);
      }
    }),
  );
  return found;
}
