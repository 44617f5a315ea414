// The audit chain as people read it: list, head, check, export.

import type { Actor, Deps } from '../deps.ts';
import { sha256Text } from '../ids.ts';
import { type AuditRow, findAuditHead, genesisHash, listAuditEntries } from '../store/audit.ts';

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

async function* chain(deps: Deps, workspaceId: string): AsyncGenerator<AuditRow> {
  for (let after = 0; ; ) {
    const entries = await listAuditEntries(deps.database.orm, { workspaceId, after, limit: 1000 });
    yield* entries;
    if (entries.length < 1000) return;
    after = entries[entries.length - 1].sequence;
  }
}

/** Every entry as exported: `hash` = SHA-256 of previousHash, newline, text. */
export async function* exportAudit(deps: Deps, actor: Actor) {
  for await (const { sequence, previousHash, hash, text } of chain(deps, actor.workspaceId)) {
    yield { sequence, previousHash, hash, text };
  }
}

export async function auditHead(deps: Deps, actor: Actor) {
  const head = await findAuditHead(deps.database.orm, actor.workspaceId);
  return { sequence: head?.sequence ?? 0, hash: head?.hash ?? genesisHash };
}

/** Walks the chain; answers the first entry that does not follow from the one before it. */
export async function verifyAudit(deps: Deps, actor: Actor) {
  let sequence = 0;
  let hash = genesisHash;
  for await (const row of chain(deps, actor.workspaceId)) {
    const detail = await faultOf(row, { sequence, hash });
    if (detail !== null) return { ok: false, checked: sequence, sequence: row.sequence, detail };
    sequence = row.sequence;
    hash = row.hash;
  }
  return { ok: true, checked: sequence };
}

async function faultOf(
  row: AuditRow,
  before: { sequence: number; hash: string },
): Promise<string | null> {
  if (row.sequence !== before.sequence + 1) {
    return `entry ${before.sequence + 1} is missing: ${row.sequence} follows ${before.sequence}`;
  }
  if (row.previousHash !== before.hash) {
    return `entry ${row.sequence} does not follow from the hash of entry ${before.sequence}`;
  }
  if (row.hash !== (await sha256Text(`${row.previousHash}\n${row.text}`))) {
    return `the text of entry ${row.sequence} was altered: its hash is another`;
  }
  const text = JSON.parse(row.text) as Record<string, unknown>;
  const same =
    text.sequence === row.sequence &&
    text.actor === row.actor &&
    text.action === row.action &&
    text.subject === row.subject &&
    text.at === row.at.toISOString();
  return same ? null : `a column of entry ${row.sequence} says something else than its text`;
}
