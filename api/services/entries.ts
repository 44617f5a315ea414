// The audit entry of a change: who, when, what and why, from the actor and the clock.

import type { Actor, Deps } from '../deps.ts';
import type { AuditEntry } from '../store/audit.ts';

export function entryOf(
  deps: Pick<Deps, 'now' | 'claim'>,
  actor: Actor,
  change: {
    action: string;
    subject: string;
    reason?: string | null;
    detail?: Record<string, unknown>;
    /** Where a row keeps the time too, so that both say the same. */
    at?: Date;
  },
): AuditEntry {
  return {
    workspaceId: actor.workspaceId,
    at: change.at ?? deps.now(),
    actor: actor.name,
    action: change.action,
    subject: change.subject,
    reason: change.reason ?? null,
    detail: change.detail ?? {},
    // A claim is on the chain of whoever asks; a new workspace has one of its own.
    claim: deps.claim?.workspaceId === actor.workspaceId ? deps.claim : undefined,
  };
}
