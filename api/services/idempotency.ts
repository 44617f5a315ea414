// What http/idempotency.ts needs of the store.

import type { Deps } from '../deps.ts';
import {
  deleteIdempotencyKey,
  insertIdempotencyKey,
  moveIdempotencyKey,
} from '../store/idempotency-keys.ts';

type Name = { workspaceId: string; key: string };
type KeptAnswer = { status: number; body: string };

/** A request that has no answer for so long was cut off, as by a restart. */
const servedWithinMs = 10 * 60_000;

export function answerKeeper(deps: Deps) {
  const orm = deps.database.orm;
  return {
    claim: async (
      request: Name & { requestDigest: string },
    ): Promise<'claimed' | 'running' | 'unanswered' | 'other-body' | KeptAnswer> => {
      const known = await insertIdempotencyKey(orm, { ...request, createdAt: deps.now() });
      if (known === null) return 'claimed';
      if (known.requestDigest !== request.requestDigest) return 'other-body';
      if (known.status === null) {
        const age = deps.now().getTime() - known.createdAt.getTime();
        return age < servedWithinMs ? 'running' : 'unanswered';
      }
      return { status: known.status, body: known.answer ?? '' };
    },
    keep: async ({ answer, ...name }: Name & { answer: KeptAnswer }): Promise<void> => {
      await moveIdempotencyKey(orm, { ...name, status: answer.status, answer: answer.body });
    },
    release: async (name: Name): Promise<void> => {
      await deleteIdempotencyKey(orm, name);
    },
  };
}
