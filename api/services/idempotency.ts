// What http/idempotency.ts needs of the store, and what a request wrote whose answer was lost.

import type { Deps } from '../deps.ts';
import { newId } from '../ids.ts';
import { listAuditEntriesAt } from '../store/audit.ts';
import {
  claimIdempotencyKey,
  type KeyClaim,
  moveClaimUntil,
  moveKeyToAnswered,
  releaseClaim,
} from '../store/idempotency-keys.ts';

/** A server that has died keeps nobody waiting longer; one that works renews its claim. */
export const claimedForMs = 10_000;

type KeptAnswer = { status: number; body: string };

/** Something that a request did, as its audit entry says. */
export type DoneEntry = { action: string; subject: string; detail: Record<string, unknown> };

export type Claimed =
  | { is: 'claimed'; claim: KeyClaim }
  /** It was claimed before, by a server that is gone, and has written these. */
  | { is: 'done'; claim: KeyClaim; entries: DoneEntry[] }
  | { is: 'answered'; answer: KeptAnswer }
  | { is: 'running'; retryAfterSeconds: number }
  | { is: 'other' };

export function answerKeeper(deps: Deps) {
  const orm = deps.database.orm;
  const until = () => new Date(deps.now().getTime() + claimedForMs);
  return {
    renewedEveryMs: claimedForMs / 3,
    claim: async (request: {
      workspaceId: string;
      key: string;
      requestDigest: string;
    }): Promise<Claimed> => {
      const { workspaceId, key } = request;
      const claim = { workspaceId, key, claim: newId(deps) };
      const now = deps.now();
      const row = { ...request, ...claim, now, claimedUntil: until() };
      const known = await claimIdempotencyKey(orm, row);
      if (known === undefined) return { is: 'running', retryAfterSeconds: 1 };
      if (known.requestDigest !== request.requestDigest) return { is: 'other' };
      if (known.claim === claim.claim) {
        if (known.entries.length === 0) return { is: 'claimed', claim };
        return { is: 'done', claim, entries: await entriesAt(deps, workspaceId, known.entries) };
      }
      if (known.status !== null) {
        return { is: 'answered', answer: { status: known.status, body: known.answer ?? '' } };
      }
      const left = (known.claimedUntil ?? now).getTime() - now.getTime();
      // The claim of a server that is alive is renewed, but its answer is mostly there in a moment.
      return { is: 'running', retryAfterSeconds: Math.min(2, Math.max(1, Math.ceil(left / 1000))) };
    },
    renew: (claim: KeyClaim) => moveClaimUntil(orm, { ...claim, claimedUntil: until() }),
    keep: ({ answer, claim }: { claim: KeyClaim; answer: KeptAnswer }) =>
      moveKeyToAnswered(orm, { ...claim, status: answer.status, answer: answer.body }),
    release: (claim: KeyClaim) => releaseClaim(orm, { ...claim, now: deps.now() }),
  };
}

async function entriesAt(
  deps: Deps,
  workspaceId: string,
  sequences: number[],
): Promise<DoneEntry[]> {
  const found = await listAuditEntriesAt(deps.database.orm, { workspaceId, sequences });
  return found.map(({ action, subject, text }) => {
    return { action, subject, detail: JSON.parse(text).detail };
  });
}
