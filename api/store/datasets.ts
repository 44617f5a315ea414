// Datasets: found by id or by name inside a workspace.

import { and, asc, eq, gt, or } from 'drizzle-orm';
import type { AttributeMap } from '../contract/attributes.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { datasets } from './schema.ts';

export type DatasetRow = typeof datasets.$inferSelect;

export async function findDataset(
  orm: Orm,
  { workspaceId, key }: { workspaceId: string; key: string },
): Promise<DatasetRow | undefined> {
  const [row] = await orm
    .select()
    .from(datasets)
    .where(
      and(eq(datasets.workspaceId, workspaceId), or(eq(datasets.id, key), eq(datasets.name, key))),
    );
  return row;
}

export async function listDatasets(
  orm: Orm,
  { workspaceId, after, limit }: { workspaceId: string; after?: string; limit: number },
): Promise<DatasetRow[]> {
  return await orm
    .select()
    .from(datasets)
    .where(and(eq(datasets.workspaceId, workspaceId), gt(datasets.id, after ?? '')))
    .orderBy(asc(datasets.id))
    .limit(limit);
}

/** Inserts a dataset; false where the name is taken. */
export async function insertDataset(
  orm: Orm,
  row: DatasetRow,
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const added = await tx.insert(datasets).values(row).onConflictDoNothing().returning();
    if (added.length === 0) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/** Replaces the attribute schema if it is still the one that was read; false otherwise. */
export async function moveAttributes(
  orm: Orm,
  change: { datasetId: string; from: AttributeMap; to: AttributeMap },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    if (!(await setAttributes(tx, change))) return false;
    await appendAudit(tx, audit);
    return true;
  });
}

/** The same inside the transaction of another change, whose audit entry tells of it. */
export async function setAttributes(
  tx: Orm,
  change: { datasetId: string; from: AttributeMap; to: AttributeMap },
): Promise<boolean> {
  const moved = await tx
    .update(datasets)
    .set({ attributes: change.to })
    .where(and(eq(datasets.id, change.datasetId), eq(datasets.attributes, change.from)))
    .returning({ id: datasets.id });
  return moved.length > 0;
}
