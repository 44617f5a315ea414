// Workspaces. They are made and listed for the deployment, with a handle that sees all of them.

import { asc, eq, gt } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { tokens, workspaces } from './schema.ts';
import type { TokenRow } from './tokens.ts';

export type WorkspaceRow = typeof workspaces.$inferSelect;

export async function findWorkspaceByName(
  orm: Orm,
  name: string,
): Promise<WorkspaceRow | undefined> {
  const [row] = await orm.select().from(workspaces).where(eq(workspaces.name, name));
  return row;
}

/** All workspaces in the order they were made. */
export async function listWorkspaces(
  orm: Orm,
  { after, limit }: { after?: string; limit: number },
): Promise<WorkspaceRow[]> {
  return await orm
    .select()
    .from(workspaces)
    .where(gt(workspaces.id, after ?? ''))
    .orderBy(asc(workspaces.id))
    .limit(limit);
}

/** Adds a workspace with its first token; false where the name is taken. */
export async function insertWorkspace(
  orm: Orm,
  { workspace, token }: { workspace: WorkspaceRow; token: TokenRow },
  audits: AuditEntry[],
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const added = await tx.insert(workspaces).values(workspace).onConflictDoNothing().returning();
    if (added.length === 0) return false;
    await tx.insert(tokens).values(token);
    for (const audit of audits) await appendAudit(tx, audit);
    return true;
  });
}
