// Folds as arrays of case ordinals: five folds of a million cases are ten arrays, not ten million
// rows.

import { and, eq, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type CaseRow, listCasePages } from './cases.ts';
import { type Orm, rows } from './database.ts';
import { int32Array, joinedInts, longIntArray, pieceLength } from './number-arrays.ts';
import { splits } from './schema.ts';
import { lockDraft } from './versions.ts';

/** Ordinals of the cases on each side, in the order of the file that was put. */
export type FoldRow = { fold: number; train: Int32Array; val: Int32Array };

type SplitKey = { datasetId: string; version: number; split: string };

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
        values (${datasetId}, ${version}, ${split}, ${fold}, ${longIntArray(train)}, ${longIntArray(val)})`);
    }
    await appendAudit(tx, audit);
    return true;
  });
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

/** One fold of a split; throws `not-found` saying which there are. */
export async function findFold(
  orm: Orm,
  { fold, ...key }: SplitKey & { fold: number },
): Promise<FoldRow> {
  const { datasetId, version, split } = key;
  const pieces = await rows<{ side: 'train' | 'val'; piece: Uint8Array }>(
    orm,
    sql`select side, array_send(members[first : first + ${pieceLength - 1}::int]) as piece
      from splits cross join lateral (values ('train', train), ('val', val)) as of_side (side, members)
      cross join lateral generate_series(1, greatest(cardinality(members), 1), ${pieceLength}::int) as first
      where dataset_id = ${datasetId} and number = ${version} and name = ${split} and fold = ${fold}
      order by side, first`,
  );
  if (pieces.length > 0) {
    const of = (wanted: string) =>
      joinedInts(
        pieces.filter(({ side }) => side === wanted).map(({ piece }) => int32Array(piece)),
      );
    return { fold, train: of('train'), val: of('val') };
  }
  const folds = await requireSplit(orm, key);
  throw new ProblemError('not-found', `Split "${split}" has folds 0 to ${folds - 1}, not ${fold}.`);
}

/** How many folds a split has; throws `not-found` where there is none of that name. */
export async function requireSplit(orm: Orm, key: SplitKey): Promise<number> {
  const folds = (await countFolds(orm, key))[key.split];
  if (folds !== undefined) return folds;
  throw new ProblemError(
    'not-found',
    `Version ${key.version} has no split "${key.split}". Put one while the version is a draft.`,
  );
}

/** The ordinals of one side of a fold; `all` means every case (null). */
export async function findSide(
  orm: Orm,
  { fold, side, ...key }: SplitKey & { fold: number | 'all'; side: 'train' | 'val' },
): Promise<Int32Array | null> {
  if (fold !== 'all') return (await findFold(orm, { ...key, fold }))[side];
  await requireSplit(orm, key);
  return null;
}

/** Whether a case, by its ordinal, stands on a side; everyone does where the side is null. */
export function membersOf(side: Int32Array | null): (ordinal: number) => boolean {
  if (side === null) return () => true;
  const marks = new Uint8Array(side.reduce((most, ordinal) => Math.max(most, ordinal), -1) + 1);
  for (const ordinal of side) marks[ordinal] = 1;
  return (ordinal) => marks[ordinal] === 1;
}

/** The cases of one side of a fold in id order, a page of rows at a time. */
export async function* casesOfSide(
  orm: Orm,
  key: SplitKey & { fold: number | 'all'; side: 'train' | 'val' },
): AsyncGenerator<CaseRow[]> {
  const isMember = membersOf(await findSide(orm, key));
  for await (const page of listCasePages(orm, key)) {
    yield page.filter((row) => isMember(row.ordinal));
  }
}
