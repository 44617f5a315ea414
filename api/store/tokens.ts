// Bearer tokens; a secret is stored only as its SHA-256.

import { and, asc, eq, getTableColumns, gt, inArray, isNull, lte, or } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { tokens, workspaces } from './schema.ts';

export type TokenRow = typeof tokens.$inferSelect;

/** The token of a secret, revoked and expired ones included, and the name of its workspace. */
export async function findTokenBySecret(
  orm: Orm,
  secretDigest: string,
): Promise<(TokenRow & { workspaceName: string }) | undefined> {
  const [row] = await orm
    .select({ ...getTableColumns(tokens), workspaceName: workspaces.name })
    .from(tokens)
    .innerJoin(workspaces, eq(workspaces.id, tokens.workspaceId))
    .where(eq(tokens.secretDigest, secretDigest));
  return row;
}

export async function findToken(
  orm: Orm,
  { workspaceId, id }: { workspaceId: string; id: string },
): Promise<TokenRow | undefined> {
  const [row] = await orm
    .select()
    .from(tokens)
    .where(and(eq(tokens.workspaceId, workspaceId), eq(tokens.id, id)));
  return row;
}

/** Tokens of a workspace in the order they were made, revoked ones included. */
export async function listTokens(
  orm: Orm,
  { workspaceId, after, limit }: { workspaceId: string; after?: string; limit: number },
): Promise<TokenRow[]> {
  return await orm
    .select()
    .from(tokens)
    .where(and(eq(tokens.workspaceId, workspaceId), gt(tokens.id, after ?? '')))
    .orderBy(asc(tokens.id))
    .limit(limit);
}

/** Adds a token and, where it is named and missing, its workspace, in one transaction. */
export async function insertToken(
  orm: Orm,
  { workspaceName, token }: { workspaceName?: string; token: TokenRow },
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    if (workspaceName !== undefined) {
      await tx
        .insert(workspaces)
        .values({ id: token.workspaceId, name: workspaceName, createdAt: token.createdAt })
        .onConflictDoNothing();
    }
    await tx.insert(tokens).values(token);
    await appendAudit(tx, audit);
  });
}

/**
 * Notes when a token was used, unless that was noted since `notSince`. It waits for nobody: where
 * somebody else notes it or revokes the token just now, this does nothing.
 */
export async function moveTokenToUsed(
  orm: Orm,
  { id, at, notSince }: { id: string; at: Date; notSince: Date },
): Promise<void> {
  const due = orm
    .select({ id: tokens.id })
    .from(tokens)
    .where(and(eq(tokens.id, id), or(isNull(tokens.lastUsedAt), lte(tokens.lastUsedAt, notSince))))
    .for('no key update', { skipLocked: true });
  await orm.update(tokens).set({ lastUsedAt: at }).where(inArray(tokens.id, due));
}

/**
 * Revokes a token; false where it was revoked before. Throws `conflict` where no admin would be
 * left in the workspace.
 */
export async function moveTokenToRevoked(
  orm: Orm,
  { workspaceId, id, at }: { workspaceId: string; id: string; at: Date },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(tokens)
      .set({ revokedAt: at })
      .where(and(eq(tokens.workspaceId, workspaceId), eq(tokens.id, id), isNull(tokens.revokedAt)))
      .returning({ id: tokens.id });
    if (moved.length === 0) return false;
    // It takes the lock of the chain: whoever revokes at the same time is counted, or counts this.
    await appendAudit(tx, audit);
    await requireAnAdmin(tx, { workspaceId, at });
    return true;
  });
}

async function requireAnAdmin(
  tx: Orm,
  { workspaceId, at }: { workspaceId: string; at: Date },
): Promise<void> {
  const [left] = await tx
    .select({ id: tokens.id })
    .from(tokens)
    .where(
      and(
        eq(tokens.workspaceId, workspaceId),
        eq(tokens.role, 'admin'),
        isNull(tokens.revokedAt),
        or(isNull(tokens.expiresAt), gt(tokens.expiresAt, at)),
      ),
    )
    .limit(1);
  if (left !== undefined) return;
  throw new ProblemError(
    'conflict',
    'This is the last admin token of the workspace: make another one first, then revoke this one.',
  );
}
