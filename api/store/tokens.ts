// Workspaces and bearer tokens; a secret is stored only as its SHA-256.

import { and, eq, isNull } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { tokens, workspaces } from './schema.ts';

export type TokenRow = typeof tokens.$inferSelect;

export async function findTokenBySecret(
  orm: Orm,
  secretDigest: string,
): Promise<TokenRow | undefined> {
  const [row] = await orm
    .select()
    .from(tokens)
    .where(and(eq(tokens.secretDigest, secretDigest), isNull(tokens.revokedAt)));
  return row;
}

export async function findWorkspaceByName(orm: Orm, name: string) {
  const [row] = await orm.select().from(workspaces).where(eq(workspaces.name, name));
  return row;
}

/** Adds the workspace where it is missing and a token in it, in one transaction. */
export async function insertToken(
  orm: Orm,
  { workspaceName, token }: { workspaceName: string; token: TokenRow },
  audit: AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await tx
      .insert(workspaces)
      .values({ id: token.workspaceId, name: workspaceName, createdAt: token.createdAt })
      .onConflictDoNothing();
    await tx.insert(tokens).values(token);
    await appendAudit(tx, audit);
  });
}
