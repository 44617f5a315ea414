// Trust policies of GitHub, and the sessions that tokens of workflow runs were exchanged for.

import { and, asc, eq, gt, isNull, lt } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { datasets, workspaces } from './schema.ts';
import { githubPolicies, githubSessions } from './schema-github.ts';

export type GithubPolicyRow = typeof githubPolicies.$inferSelect;
export type GithubSessionRow = typeof githubSessions.$inferSelect;

/** A policy with the names of what it is about. */
export type NamedPolicy = { policy: GithubPolicyRow; dataset: string; workspace: string };

const named = { policy: githubPolicies, dataset: datasets.name, workspace: workspaces.name };

function selectNamed(orm: Orm) {
  return orm
    .select(named)
    .from(githubPolicies)
    .innerJoin(datasets, eq(datasets.id, githubPolicies.datasetId))
    .innerJoin(workspaces, eq(workspaces.id, githubPolicies.workspaceId));
}

export async function insertGithubPolicy(
  orm: Orm,
  policy: GithubPolicyRow,
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await tx.insert(githubPolicies).values(policy);
    await appendAudit(tx, audit);
  });
}

export async function findGithubPolicy(
  orm: Orm,
  { workspaceId, id }: { workspaceId: string; id: string },
): Promise<NamedPolicy | undefined> {
  const [row] = await selectNamed(orm).where(
    and(eq(githubPolicies.workspaceId, workspaceId), eq(githubPolicies.id, id)),
  );
  return row;
}

/** Policies of a workspace in the order they were made, removed ones included. */
export async function listGithubPolicies(
  orm: Orm,
  { workspaceId, after, limit }: { workspaceId: string; after?: string; limit: number },
): Promise<NamedPolicy[]> {
  return await selectNamed(orm)
    .where(and(eq(githubPolicies.workspaceId, workspaceId), gt(githubPolicies.id, after ?? '')))
    .orderBy(asc(githubPolicies.id))
    .limit(limit);
}

/** Policies that stand for a repository, of every workspace. */
export async function listGithubPoliciesOf(
  orm: Orm,
  key: { issuer: string; repositoryId: string; repositoryOwnerId: string },
): Promise<NamedPolicy[]> {
  return await selectNamed(orm)
    .where(
      and(
        eq(githubPolicies.issuer, key.issuer),
        eq(githubPolicies.repositoryId, key.repositoryId),
        eq(githubPolicies.repositoryOwnerId, key.repositoryOwnerId),
        isNull(githubPolicies.removedAt),
      ),
    )
    .orderBy(asc(githubPolicies.id));
}

/** Removes a policy, and with it what its sessions may do; false where it was removed before. */
export async function moveGithubPolicyToRemoved(
  orm: Orm,
  { workspaceId, id, at, by }: { workspaceId: string; id: string; at: Date; by: string },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(githubPolicies)
      .set({ removedAt: at, removedBy: by })
      .where(
        and(
          eq(githubPolicies.workspaceId, workspaceId),
          eq(githubPolicies.id, id),
          isNull(githubPolicies.removedAt),
        ),
      )
      .returning({ id: githubPolicies.id });
    if (moved.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/**
 * Stores a session, and forgets those whose token can be used no more; false where its token was
 * exchanged before, which leaves nothing behind.
 */
export async function insertGithubSession(
  orm: Orm,
  session: GithubSessionRow,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const { workspaceId, createdAt } = session;
    await tx
      .delete(githubSessions)
      .where(
        and(eq(githubSessions.workspaceId, workspaceId), lt(githubSessions.forgetAt, createdAt)),
      );
    const made = await tx
      .insert(githubSessions)
      .values(session)
      .onConflictDoNothing({ target: [githubSessions.issuer, githubSessions.jti] })
      .returning({ id: githubSessions.id });
    if (made.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/** The session of a secret with its policy, ended ones included. */
export async function findGithubSession(
  orm: Orm,
  key: { secretDigest: string } | { id: string },
): Promise<(NamedPolicy & { session: GithubSessionRow }) | undefined> {
  const [row] = await orm
    .select({ ...named, session: githubSessions })
    .from(githubSessions)
    .innerJoin(githubPolicies, eq(githubPolicies.id, githubSessions.policyId))
    .innerJoin(datasets, eq(datasets.id, githubPolicies.datasetId))
    .innerJoin(workspaces, eq(workspaces.id, githubPolicies.workspaceId))
    .where(
      'id' in key
        ? eq(githubSessions.id, key.id)
        : eq(githubSessions.secretDigest, key.secretDigest),
    );
  return row;
}
