// Folds as arrays of case ordinals: five folds of a million cases are ten arrays, not ten million
// rows.

import { and, asc, eq, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type CaseRow, listCasePages } from './cases.ts';
import { type Orm, rows } from './database.ts';
import { splits } from './schema.ts';
import { lockDraft } from './versions.ts';

export type FoldRow = { fold: number; train: number[]; val: number[] };

type SplitKey = { datasetId: string; version: number; split: string };

const array = (ordinals: number[]) => sql`${`{${ordinals.join(',')}}`}::int[]`;

/** Stores a split in a draft in place of one of the same name; false when it is no draft. */
export async function insertSplit(
  orm: Orm,
  { datasetId, version, split, folds }: SplitKey & { folds: FoldRow[] },
  audit: AuditEntry,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    if (!(await lockDraft(tx, { datasetId, number: version }))) return false;
    await tx
      .delete(splits)
      .where(
        and(eq(splits.datasetId, datasetId), eq(splits.number, version), eq(splits.name, split)),
      );
    for (const { fold, train, val } of folds) {
      await tx.execute(sql`insert into splits (dataset_id, number, name, fold, train, val)
        values (${datasetId}, ${version}, ${split}, ${fold}, ${array(train)}, ${array(val)})`);
    }
    await appendAudit(tx, audit);
    return true;
  });
}

/** The folds of a split; empty where the version has no such split. */
export async function listFolds(
  orm: Orm,
  { datasetId, version, split }: SplitKey,
): Promise<FoldRow[]> {
  return await orm
    .select({ fold: splits.fold, train: splits.train, val: splits.val })
    .from(splits)
    .where(and(eq(splits.datasetId, datasetId), eq(splits.number, version), eq(splits.name, split)))
    .orderBy(asc(splits.fold));
}

/** Names of a version's splits with their number of folds. */
export async function countFolds(
  orm: Orm,
  { datasetId, version }: { datasetId: string; version: number },
): Promise<Record<string, number>> {
  const found = await rows<{ name: string; folds: number }>(
    orm,
    sql`select name, count(*)::int as folds from splits
      where dataset_id = ${datasetId} and number = ${version} group by name order by name`,
  );
  return Object.fromEntries(found.map((row) => [row.name, row.folds]));
}

/** Every case of a split's folds that is no longer a case of the version. */
export async function findStrayOrdinals(
  orm: Orm,
  { datasetId, version }: { datasetId: string; version: number },
): Promise<{ split: string; fold: number; caseId: string }[]> {
  return await rows(
    orm,
    sql`select s.name as split, s.fold, (select max(k.case_id) from cases k where k.dataset_id = s.dataset_id and k.ordinal = member.ordinal) as "caseId"
      from splits s cross join lateral unnest(s.train || s.val) member (ordinal)
      left join cases c on c.dataset_id = s.dataset_id and c.ordinal = member.ordinal
        and c.valid_from <= ${version} and (c.valid_to is null or c.valid_to > ${version})
      where s.dataset_id = ${datasetId} and s.number = ${version} and c.ordinal is null limit 100`,
  );
}

/** One fold of a split; `not-found` saying which there are. */
export async function findFold(
  orm: Orm,
  { fold, ...key }: SplitKey & { fold: number },
): Promise<FoldRow> {
  const folds = await listFolds(orm, key);
  if (folds.length === 0) throw noSuchSplit(key);
  const found = folds.find((row) => row.fold === fold);
  if (found === undefined) {
    throw new ProblemError(
      'not-found',
      `Split "${key.split}" has folds 0 to ${folds.length - 1}, not ${fold}.`,
    );
  }
  return found;
}

function noSuchSplit({ version, split }: SplitKey): ProblemError {
  return new ProblemError(
    'not-found',
    `Version ${version} has no split "${split}". Put one while the version is a draft.`,
  );
}

/** The ordinals of one side of a fold; `all` means every case (null). */
export async function findSide(
  orm: Orm,
  { fold, side, ...key }: SplitKey & { fold: number | 'all'; side: 'train' | 'val' },
): Promise<number[] | null> {
  if (fold !== 'all') return (await findFold(orm, { ...key, fold }))[side];
  if ((await listFolds(orm, key)).length === 0) throw noSuchSplit(key);
  return null;
}

/** The cases of one side of a fold in id order, a page of rows at a time. */
export async function* casesOfSide(
  orm: Orm,
  key: SplitKey & { fold: number | 'all'; side: 'train' | 'val' },
): AsyncGenerator<CaseRow[]> {
  const ordinals = await findSide(orm, key);
  const members = ordinals === null ? null : new Set(ordinals);
  for await (const page of listCasePages(orm, key)) {
    yield members === null ? page : page.filter((row) => members.has(row.ordinal));
  }
}
