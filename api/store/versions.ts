// Dataset versions. A draft starts equal to its base by closing and reopening validity ranges, so
// opening one costs what differs, not a copy of the dataset.

import { and, desc, eq, lt, max, sql } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { cases, datasetVersions, splits, uploadParts } from './schema.ts';

export type VersionRow = typeof datasetVersions.$inferSelect;

export async function findVersion(
  orm: Orm,
  { datasetId, number }: { datasetId: string; number: number },
): Promise<VersionRow | undefined> {
  const [row] = await orm
    .select()
    .from(datasetVersions)
    .where(and(eq(datasetVersions.datasetId, datasetId), eq(datasetVersions.number, number)));
  return row;
}

export async function listVersions(
  orm: Orm,
  { datasetId, before, limit }: { datasetId: string; before?: number; limit: number },
): Promise<VersionRow[]> {
  return await orm
    .select()
    .from(datasetVersions)
    .where(
      and(
        eq(datasetVersions.datasetId, datasetId),
        before === undefined ? undefined : lt(datasetVersions.number, before),
      ),
    )
    .orderBy(desc(datasetVersions.number))
    .limit(limit);
}

/** The number that the next draft gets, and the open draft if there is one. */
export async function findDraftState(
  orm: Orm,
  datasetId: string,
): Promise<{ nextNumber: number; draft: number | null }> {
  const [newest] = await orm
    .select({ number: max(datasetVersions.number) })
    .from(datasetVersions)
    .where(eq(datasetVersions.datasetId, datasetId));
  const [draft] = await orm
    .select({ number: datasetVersions.number })
    .from(datasetVersions)
    .where(and(eq(datasetVersions.datasetId, datasetId), eq(datasetVersions.state, 'draft')));
  return { nextNumber: (newest?.number ?? 0) + 1, draft: draft?.number ?? null };
}

const visibleAt = (alias: string, version: number | null) =>
  version === null
    ? sql`false`
    : sql`${sql.raw(alias)}.valid_from <= ${version} and (${sql.raw(alias)}.valid_to is null or ${sql.raw(alias)}.valid_to > ${version})`;

/** Opens a draft whose cases and splits equal its base's (none: empty). */
export async function insertDraft(orm: Orm, row: VersionRow, audit: AuditEntry): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const added = await tx.insert(datasetVersions).values(row).onConflictDoNothing().returning();
    if (added.length === 0) return false;
    const { datasetId, number, base } = row;
    await tx.execute(sql`
      update cases c set valid_to = ${number}
      where c.dataset_id = ${datasetId} and c.valid_to is null and not (${visibleAt('c', base)})`);
    await tx.execute(sql`
      insert into cases (dataset_id, ordinal, case_id, valid_from, attributes, files)
      select c.dataset_id, c.ordinal, c.case_id, ${number}::int, c.attributes, c.files from cases c
      where c.dataset_id = ${datasetId} and c.valid_to is not null and ${visibleAt('c', base)}
      and not exists (select 1 from cases live where live.dataset_id = c.dataset_id
        and live.case_id = c.case_id and live.valid_to is null)`);
    await tx.execute(sql`
      insert into splits (dataset_id, number, name, fold, train, val)
      select dataset_id, ${number}::int, name, fold, train, val from splits
      where dataset_id = ${datasetId} and number = ${base ?? 0}`);
    await appendAudit(tx, audit);
    return true;
  });
}

/** Takes back everything a draft changed and marks it discarded. */
export async function moveDraftToDiscarded(
  orm: Orm,
  { datasetId, number }: { datasetId: string; number: number },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    const moved = await tx
      .update(datasetVersions)
      .set({ state: 'discarded' })
      .where(draftIs(datasetId, number))
      .returning({ number: datasetVersions.number });
    if (moved.length === 0) return false;
    await tx.delete(cases).where(and(eq(cases.datasetId, datasetId), eq(cases.validFrom, number)));
    await tx
      .update(cases)
      .set({ validTo: null })
      .where(and(eq(cases.datasetId, datasetId), eq(cases.validTo, number)));
    await tx.delete(splits).where(and(eq(splits.datasetId, datasetId), eq(splits.number, number)));
    await tx
      .delete(uploadParts)
      .where(and(eq(uploadParts.datasetId, datasetId), eq(uploadParts.number, number)));
    await appendAudit(tx, audit);
    return true;
  });
}

const draftIs = (datasetId: string, number: number) =>
  and(
    eq(datasetVersions.datasetId, datasetId),
    eq(datasetVersions.number, number),
    eq(datasetVersions.state, 'draft'),
  );

/** Takes the row lock that uploads and the commit of one draft share; false if it is no draft. */
export async function lockDraft(
  tx: Orm,
  { datasetId, number }: { datasetId: string; number: number },
): Promise<boolean> {
  const found = await tx
    .select({ number: datasetVersions.number })
    .from(datasetVersions)
    .where(draftIs(datasetId, number))
    .for('update');
  return found.length > 0;
}

export type Commit = Pick<
  VersionRow,
  'datasetId' | 'number' | 'attributes' | 'digest' | 'caseCount' | 'committedAt' | 'committedBy'
>;

/** Commits a draft; `describe` runs under the draft's lock, so no upload can slip in between. */
export async function moveDraftToCommitted(
  orm: Orm,
  { datasetId, number }: { datasetId: string; number: number },
  describe: (tx: Orm) => Promise<{ commit: Commit; audit: AuditEntry }>,
): Promise<Commit | null> {
  return await orm.transaction(async (tx) => {
    if (!(await lockDraft(tx, { datasetId, number }))) return null;
    const { commit, audit } = await describe(tx);
    await tx
      .update(datasetVersions)
      .set({ ...commit, state: 'committed' })
      .where(draftIs(datasetId, number));
    await appendAudit(tx, audit);
    return commit;
  });
}
