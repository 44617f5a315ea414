// The audit chain as people read it: list, export.

import type { Actor, Deps } from '../../deps.ts';
import { type AuditRow, listAuditEntries } from '../../store/audit.ts';
import { walkAudit } from '../../store/audit-walk.ts';

export type AuditFilter = {
  actor?: string;
  action?: string;
  subject?: string;
  from?: Date;
  to?: Date;
  after?: number;
  limit: number;
};

export function auditView(row: AuditRow) {
  const entry = JSON.parse(row.text) as { reason: string | null; detail: Record<string, unknown> };
  return {
    sequence: row.sequence,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    reason: entry.reason,
    detail: entry.detail,
    previousHash: row.previousHash,
    hash: row.hash,
  };
}

export async function pageOfAudit(deps: Deps, actor: Actor, filter: AuditFilter) {
  const query = { workspaceId: actor.workspaceId, ...filter };
  return (await listAuditEntries(deps.database.orm, query)).map(auditView);
}

/** Every entry as exported: `hash` = SHA-256 of previousHash, newline, text. */
export async function* exportAudit(deps: Deps, actor: Actor) {
  for await (const { sequence, previousHash, hash, text } of walkAudit(
    deps.database.orm,
    actor.workspaceId,
  )) {
    yield { sequence, previousHash, hash, text };
  }
}
