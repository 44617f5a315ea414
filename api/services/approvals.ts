// Approving a snapshot, and taking that back. Nobody approves what they froze themselves.

import type { Approval, Approve } from '../contract/approvals.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId } from '../ids.ts';
import {
  type ApprovalRow,
  type ApprovalWithRevocation,
  insertApproval,
  insertRevocation,
  listApprovals,
  listAuthors,
} from '../store/approvals.ts';
import { entryOf } from './entries.ts';
import { requireSnapshot } from './snapshots/read.ts';

export function approvalView({ approval, revocation }: ApprovalWithRevocation): Approval {
  return {
    id: approval.id,
    snapshot: approval.snapshotDigest,
    meaning: approval.meaning,
    reason: approval.reason,
    createdAt: approval.createdAt.toISOString(),
    createdBy: approval.createdBy,
    revoked: revocation && {
      reason: revocation.reason,
      createdAt: revocation.createdAt.toISOString(),
      createdBy: revocation.createdBy,
    },
  };
}

/**
 * Approves a snapshot by its digest. Throws `forbidden` for whoever froze it, `conflict` where the
 * same person's approval of the same meaning stands.
 */
export async function approveSnapshot(
  deps: Deps,
  actor: Actor,
  { snapshot: key, meaning, reason }: Approve & { snapshot: string },
): Promise<Approval> {
  const { id: snapshotId, digest } = await requireSnapshot(deps, actor, key);
  const { workspaceId } = actor;
  const authors = await listAuthors(deps.database.orm, { workspaceId, digests: [digest] });
  if (authors.some(({ author }) => author === actor.name)) {
    throw new ProblemError(
      'forbidden',
      `${actor.name} froze this snapshot; it is approved by someone else.`,
    );
  }
  const row: ApprovalRow = {
    id: newId(deps),
    workspaceId,
    snapshotId,
    snapshotDigest: digest,
    meaning,
    reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  const entry = entryOf(deps, actor, {
    action: 'snapshot.approved',
    subject: `snapshot/${digest}`,
    reason,
    detail: { approval: row.id, meaning },
    at: row.createdAt,
  });
  await insertApproval(deps.database.orm, row, entry);
  return approvalView({ approval: row, revocation: null });
}

/** Approvals of a snapshot's digest in the order they were made, revoked ones included. */
export async function pageOfApprovals(
  deps: Deps,
  actor: Actor,
  { snapshot: key, after, limit }: { snapshot: string; after?: string; limit?: number },
): Promise<Approval[]> {
  const { digest } = await requireSnapshot(deps, actor, key);
  const query = { workspaceId: actor.workspaceId, digest, after, limit };
  return (await listApprovals(deps.database.orm, query)).map(approvalView);
}

/**
 * Revokes an approval: it counts no longer, for whatever moves from now on. Throws `not-found` for
 * one that is not of this snapshot, `conflict` a second time.
 */
export async function revokeApproval(
  deps: Deps,
  actor: Actor,
  { snapshot: key, id, reason }: { snapshot: string; id: string; reason: string },
): Promise<Approval> {
  const { digest } = await requireSnapshot(deps, actor, key);
  const query = { workspaceId: actor.workspaceId, digest };
  const find = async () =>
    (await listApprovals(deps.database.orm, query)).find(({ approval }) => approval.id === id);
  const known = await find();
  if (known === undefined) {
    throw new ProblemError('not-found', `Snapshot ${digest} has no approval "${id}".`);
  }
  const { meaning, createdBy: approvedBy } = known.approval;
  const row = {
    approvalId: id,
    workspaceId: actor.workspaceId,
    reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  const entry = entryOf(deps, actor, {
    action: 'approval.revoked',
    subject: `snapshot/${digest}`,
    reason,
    detail: { approval: id, meaning, approvedBy },
    at: row.createdAt,
  });
  const revoked = await insertRevocation(deps.database.orm, row, entry);
  const now = approvalView((await find()) as ApprovalWithRevocation);
  if (revoked) return now;
  const { createdBy, createdAt } = now.revoked as NonNullable<Approval['revoked']>;
  throw new ProblemError(
    'conflict',
    `This approval was revoked already, by ${createdBy} at ${createdAt}.`,
  );
}
