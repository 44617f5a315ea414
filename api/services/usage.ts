// GPU hours of a workspace: by job, dataset, actor or target.

import type { Usage, UsageKind } from '../contract/usage.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { listUsage } from '../store/usage.ts';

const usualMs = 30 * 86_400_000;

/**
 * A page of sums, and the total of all pages. `at` is the moment as of which it is read: attempts
 * that run count until then. Throws `invalid-request` where `from` is not before `to`.
 */
export async function usageOf(
  deps: Deps,
  actor: Actor,
  input: { by: UsageKind; from?: Date; to?: Date; at: Date; offset: number; limit: number },
): Promise<Omit<Usage, 'nextCursor'>> {
  const { by, at, offset, limit } = input;
  const to = input.to ?? at;
  const from = input.from ?? new Date(to.getTime() - usualMs);
  if (from >= to) {
    throw new ProblemError(
      'invalid-request',
      `from (${from.toISOString()}) is not before to (${to.toISOString()}${input.to === undefined ? ', now' : ''}).`,
      { errors: [{ pointer: '/from', detail: 'not before to' }] },
    );
  }
  const { workspaceId } = actor;
  const query = { workspaceId, by, from, to, at, offset, limit };
  const sums = await listUsage(deps.database.orm, query);
  return { by, from: from.toISOString(), to: to.toISOString(), ...sums };
}
