// Aliases: a row per move, numbered from 1; the newest is where an alias stands.

import { and, asc, desc, eq, gt, inArray, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type ApprovalRow, listAuthors, listStandingApprovals } from './approvals.ts';
import { type AuditEntry, appendAudit, lockChain } from './audit.ts';
import type { Orm } from './database.ts';
import { aliasMoves } from './schema-teams.ts';

export type AliasMoveRow = typeof aliasMoves.$inferSelect;

/** The newest move of an alias, or undefined. */
export async function findAlias(
  orm: Orm,
  { datasetId, name }: { datasetId: string; name: string },
): Promise<AliasMoveRow | undefined> {
  const [row] = await orm
    .select()
    .from(aliasMoves)
    .where(and(eq(aliasMoves.datasetId, datasetId), eq(aliasMoves.name, name)))
    .orderBy(desc(aliasMoves.number))
    .limit(1);
  return row;
}

/** Names of the aliases of a dataset, in order. */
export async function listAliasNames(
  orm: Orm,
  { datasetId, after, limit }: { datasetId: string; after?: string; limit: number },
): Promise<string[]> {
  const found = await orm
    .selectDistinct({ name: aliasMoves.name })
    .from(aliasMoves)
    .where(and(eq(aliasMoves.datasetId, datasetId), gt(aliasMoves.name, after ?? '')))
    .orderBy(asc(aliasMoves.name))
    .limit(limit);
  return found.map(({ name }) => name);
}

/** Every move of aliases, in the order of names and numbers. */
export async function listAliasMoves(
  orm: Orm,
  { datasetId, names }: { datasetId: string; names: string[] },
): Promise<AliasMoveRow[]> {
  return await orm
    .select()
    .from(aliasMoves)
    .where(and(eq(aliasMoves.datasetId, datasetId), inArray(aliasMoves.name, names)))
    .orderBy(asc(aliasMoves.name), asc(aliasMoves.number));
}

/** Names of the aliases of a dataset that ever stood on a snapshot. */
export async function listAliasNamesOf(
  orm: Orm,
  { datasetId, snapshotId }: { datasetId: string; snapshotId: string },
): Promise<string[]> {
  const stood = sql`exists (select 1 from jsonb_each_text(${aliasMoves.snapshots}) at
    where at.value = ${snapshotId})`;
  const found = await orm
    .selectDistinct({ name: aliasMoves.name })
    .from(aliasMoves)
    .where(and(eq(aliasMoves.datasetId, datasetId), stood))
    .orderBy(asc(aliasMoves.name));
  return found.map(({ name }) => name);
}

/** What the rule of approvals is asked with: standing approvals and authors of the digests. */
export type Vouching = { approvals: ApprovalRow[]; authors: { digest: string; author: string }[] };

/**
 * Stores a move. `allow` throws where it is not allowed, and answers the ids of the approvals that
 * allow it; no approval is given or revoked from its call until the move is stored. Throws
 * `conflict` where another move took the number.
 */
export async function moveAlias(
  orm: Orm,
  { row, digests }: { row: Omit<AliasMoveRow, 'approvals'>; digests: string[] },
  allow: (vouching: Vouching) => string[],
  audit: (approvals: string[]) => AuditEntry,
): Promise<void> {
  await orm.transaction(async (tx) => {
    await lockChain(tx, row.workspaceId);
    const now = await findAlias(tx, row);
    if ((now?.number ?? 0) !== row.number - 1) throw movedMeanwhile(row.name);
    const key = { workspaceId: row.workspaceId, digests };
    const approvals = allow({
      approvals: await listStandingApprovals(tx, key),
      authors: await listAuthors(tx, key),
    });
    await tx.insert(aliasMoves).values({ ...row, approvals });
    await appendAudit(tx, audit(approvals));
  });
}

function movedMeanwhile(name: string): ProblemError {
  return new ProblemError(
    'conflict',
    `Alias "${name}" was moved at the same moment; nothing was stored. Read it, then move it again.`,
  );
}
