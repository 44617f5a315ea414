// The audit chain. Every store function that changes something takes an AuditEntry and appends it
// in its own transaction, so a change without its entry, or the reverse, cannot exist.

import { and, asc, desc, eq, gt, gte, inArray, lt, type SQL, sql } from 'drizzle-orm';
import { canonicalText, sha256Text } from '../ids.ts';
import type { Orm } from './database.ts';
import { type KeyClaim, noteEntry } from './idempotency-keys.ts';
import { auditEntries } from './schema.ts';
import { insertDeliveries } from './webhook-outbox.ts';

/** What a change says of itself. `subject` is `kind/id`, for instance `snapshot/sha256:...`. */
export type AuditEntry = {
  workspaceId: string;
  at: Date;
  actor: string;
  action: string;
  subject: string;
  reason: string | null;
  detail: Record<string, unknown>;
  /** The claim of a request under an Idempotency-Key; it is no part of what is written. */
  claim?: KeyClaim;
};

export type AuditRow = typeof auditEntries.$inferSelect;

/** What the first entry of a chain names as the hash before it. */
export const genesisHash = `sha256:${'0'.repeat(64)}`;

/**
 * Appends one entry: hash = SHA-256(previous hash, newline, canonical JSON of the entry). Throws
 * `conflict` where the request that makes the change has lost its claim to another.
 */
export async function appendAudit(tx: Orm, { claim, ...entry }: AuditEntry): Promise<void> {
  await lockChain(tx, entry.workspaceId);
  const [last] = await tx
    .select({ sequence: auditEntries.sequence, hash: auditEntries.hash })
    .from(auditEntries)
    .where(eq(auditEntries.workspaceId, entry.workspaceId))
    .orderBy(desc(auditEntries.sequence))
    .limit(1);
  const sequence = (last?.sequence ?? 0) + 1;
  const previousHash = last?.hash ?? genesisHash;
  const text = canonicalText({ ...entry, sequence });
  await tx.insert(auditEntries).values({
    workspaceId: entry.workspaceId,
    sequence,
    at: entry.at,
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    text,
    previousHash,
    hash: await sha256Text(`${previousHash}\n${text}`),
  });
  await insertDeliveries(tx, { ...entry, sequence });
  if (claim !== undefined) await noteEntry(tx, { claim, sequence });
}

/** Held until the end of the transaction: what is written with an audit entry changes no more. */
export async function lockChain(tx: Orm, workspaceId: string): Promise<void> {
  await tx.execute(
    sql`select pg_advisory_xact_lock(hashtextextended(${`audit/${workspaceId}`}, 0))`,
  );
}

/**
 * Appends an entry of something that was found, unless one of the same action, subject and detail
 * is there; false then.
 */
export async function insertFinding(orm: Orm, entry: AuditEntry): Promise<boolean> {
  // The text is canonical JSON: this stands in it only where the detail is this one.
  const detail = `,"detail":${canonicalText(entry.detail)},`;
  return await orm.transaction(async (tx) => {
    await lockChain(tx, entry.workspaceId);
    const found = await tx
      .select({ sequence: auditEntries.sequence })
      .from(auditEntries)
      .where(
        and(
          eq(auditEntries.workspaceId, entry.workspaceId),
          eq(auditEntries.subject, entry.subject),
          eq(auditEntries.action, entry.action),
          sql`strpos(${auditEntries.text}, ${detail}) > 0`,
        ),
      )
      .limit(1);
    if (found.length > 0) return false;
    await appendAudit(tx, entry);
    return true;
  });
}

export type AuditFilter = {
  workspaceId: string;
  actor?: string;
  action?: string;
  subject?: string;
  from?: Date;
  to?: Date;
  after?: number;
  limit: number;
};

/** Entries in chain order, oldest first, after sequence `after`. */
export async function listAuditEntries(orm: Orm, filter: AuditFilter): Promise<AuditRow[]> {
  const conditions: (SQL | undefined)[] = [
    eq(auditEntries.workspaceId, filter.workspaceId),
    gt(auditEntries.sequence, filter.after ?? 0),
    filter.actor === undefined ? undefined : eq(auditEntries.actor, filter.actor),
    filter.action === undefined ? undefined : eq(auditEntries.action, filter.action),
    filter.subject === undefined ? undefined : eq(auditEntries.subject, filter.subject),
    filter.from === undefined ? undefined : gte(auditEntries.at, filter.from),
    filter.to === undefined ? undefined : lt(auditEntries.at, filter.to),
  ];
  return await orm
    .select()
    .from(auditEntries)
    .where(and(...conditions))
    .orderBy(asc(auditEntries.sequence))
    .limit(filter.limit);
}

/** Some entries of a workspace by their sequences, in chain order. */
export async function listAuditEntriesAt(
  orm: Orm,
  { workspaceId, sequences }: { workspaceId: string; sequences: number[] },
): Promise<AuditRow[]> {
  if (sequences.length === 0) return [];
  return await orm
    .select()
    .from(auditEntries)
    .where(
      and(eq(auditEntries.workspaceId, workspaceId), inArray(auditEntries.sequence, sequences)),
    )
    .orderBy(asc(auditEntries.sequence));
}

/** The newest entry of a workspace's chain, or undefined. */
export async function findAuditHead(orm: Orm, workspaceId: string): Promise<AuditRow | undefined> {
  const [head] = await orm
    .select()
    .from(auditEntries)
    .where(eq(auditEntries.workspaceId, workspaceId))
    .orderBy(desc(auditEntries.sequence))
    .limit(1);
  return head;
}
