// Approvals and their revocations: rows are added and never changed. What is read after an audit
// entry was appended stays so until the end of the transaction, since every write here appends one.

import { and, asc, eq, gt, inArray, isNull } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { snapshots } from './schema.ts';
import { approvalRevocations, approvals } from './schema-teams.ts';

export type ApprovalRow = typeof approvals.$inferSelect;
export type RevocationRow = typeof approvalRevocations.$inferSelect;
export type ApprovalWithRevocation = { approval: ApprovalRow; revocation: RevocationRow | null };

/**
 * Stores an approval. Throws `conflict` where one of the same person, digest and meaning stands.
 */
export async function insertApproval(orm: Orm, row: ApprovalRow, audit: AuditEntry): Promise<void> {
  await orm.transaction(async (tx) => {
    await appendAudit(tx, audit);
    const standing = await listStandingApprovals(tx, {
      workspaceId: row.workspaceId,
      digests: [row.snapshotDigest],
    });
    const same = standing.find(
      ({ createdBy, meaning }) => createdBy === row.createdBy && meaning === row.meaning,
    );
    if (same !== undefined) {
      throw new ProblemError(
        'conflict',
        `${row.createdBy} approved this snapshot as "${row.meaning}" already, at ${same.createdAt.toISOString()}; that approval (${same.id}) stands.`,
      );
    }
    await tx.insert(approvals).values(row);
  });
}

/** Revokes an approval; false where it was revoked before. */
export async function insertRevocation(
  orm: Orm,
  row: RevocationRow,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const added = await tx
      .insert(approvalRevocations)
      .values(row)
      .onConflictDoNothing()
      .returning();
    if (added.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/** Approvals of a digest in the order they were made, with what revoked them. */
export async function listApprovals(
  orm: Orm,
  key: { workspaceId: string; digest: string; after?: string; limit?: number },
): Promise<ApprovalWithRevocation[]> {
  const query = orm
    .select({ approval: approvals, revocation: approvalRevocations })
    .from(approvals)
    .leftJoin(approvalRevocations, eq(approvalRevocations.approvalId, approvals.id))
    .where(
      and(
        eq(approvals.workspaceId, key.workspaceId),
        eq(approvals.snapshotDigest, key.digest),
        gt(approvals.id, key.after ?? ''),
      ),
    )
    .orderBy(asc(approvals.id));
  return key.limit === undefined ? await query : await query.limit(key.limit);
}

/** Approvals of digests that nobody revoked. */
export async function listStandingApprovals(
  orm: Orm,
  { workspaceId, digests }: { workspaceId: string; digests: string[] },
): Promise<ApprovalRow[]> {
  const found = await orm
    .select({ approval: approvals })
    .from(approvals)
    .leftJoin(approvalRevocations, eq(approvalRevocations.approvalId, approvals.id))
    .where(
      and(
        eq(approvals.workspaceId, workspaceId),
        inArray(approvals.snapshotDigest, digests),
        isNull(approvalRevocations.approvalId),
      ),
    )
    .orderBy(asc(approvals.id));
  return found.map(({ approval }) => approval);
}

/**
 * Who made snapshots of digests: `digest` and `author`. One digest may be of several snapshots, as
 * where a case was withdrawn that the rules left out already.
 */
export async function listAuthors(
  orm: Orm,
  { workspaceId, digests }: { workspaceId: string; digests: string[] },
): Promise<{ digest: string; author: string }[]> {
  return await orm
    .selectDistinct({ digest: snapshots.digest, author: snapshots.createdBy })
    .from(snapshots)
    .where(and(eq(snapshots.workspaceId, workspaceId), inArray(snapshots.digest, digests)));
}
