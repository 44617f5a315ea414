// Case rows by validity range. Reads come in pages in id order (UTF-8 bytes, as digests need it);
// writes go in by the thousand through jsonb_to_recordset.

import { and, eq, sql } from 'drizzle-orm';
import type { CaseFile } from '../contract/cases.ts';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { uploadParts } from './schema.ts';
import { lockDraft } from './versions.ts';

export type CaseRow = {
  ordinal: number;
  caseId: string;
  attributes: Record<string, unknown>;
  files: CaseFile[];
};

type VersionKey = { datasetId: string; version: number };

const pageSize = 5_000;

/** All cases of a version in id order, a page of rows at a time. */
export async function* listCasePages(
  orm: Orm,
  { datasetId, version, after = '' }: VersionKey & { after?: string },
): AsyncGenerator<CaseRow[]> {
  let last = after;
  while (true) {
    const page = await listCases(orm, { datasetId, version, after: last, limit: pageSize });
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
    last = page[page.length - 1].caseId;
  }
}

/** One page of a version's cases after a case id. */
export async function listCases(
  orm: Orm,
  { datasetId, version, after, limit }: VersionKey & { after: string; limit: number },
): Promise<CaseRow[]> {
  return await rows<CaseRow>(
    orm,
    sql`select ordinal, case_id as "caseId", attributes, files from cases
      where dataset_id = ${datasetId} and valid_from <= ${version}
      and (valid_to is null or valid_to > ${version}) and case_id > ${after}
      order by case_id limit ${limit}`,
  );
}

/** Only the named attributes of a page of cases, as arrays in the order of `names`. */
export async function listCaseColumns(
  orm: Orm,
  {
    datasetId,
    version,
    after,
    limit,
    names,
  }: VersionKey & {
    after: string;
    limit: number;
    names: string[];
  },
): Promise<{ ordinal: number; caseId: string; values: unknown[] }[]> {
  const values =
    names.length === 0
      ? sql`'[]'::jsonb`
      : sql`jsonb_build_array(${sql.join(
          names.map((name) => sql`attributes -> ${name}::text`),
          sql`, `,
        )})`;
  return await rows(
    orm,
    sql`select ordinal, case_id as "caseId", ${values} as "values" from cases
      where dataset_id = ${datasetId} and valid_from <= ${version}
      and (valid_to is null or valid_to > ${version}) and case_id > ${after}
      order by case_id limit ${limit}`,
  );
}

/** One case of a version by its id. */
export async function findCase(
  orm: Orm,
  { datasetId, version, caseId }: VersionKey & { caseId: string },
): Promise<CaseRow | undefined> {
  const [row] = await rows<CaseRow>(
    orm,
    sql`select ordinal, case_id as "caseId", attributes, files from cases
      where dataset_id = ${datasetId} and case_id = ${caseId} and valid_from <= ${version}
      and (valid_to is null or valid_to > ${version})`,
  );
  return row;
}

/** The case ids of ordinals, in the order given. */
export async function listCaseIds(
  orm: Orm,
  { datasetId, version, ordinals }: VersionKey & { ordinals: Int32Array | number[] },
): Promise<string[]> {
  const found = await rows<{ case_id: string }>(
    orm,
    sql`select c.case_id from unnest(${`{${ordinals.join(',')}}`}::int[]) with ordinality wanted (ordinal, place)
      join cases c on c.dataset_id = ${datasetId} and c.ordinal = wanted.ordinal
      and c.valid_from <= ${version} and (c.valid_to is null or c.valid_to > ${version})
      order by wanted.place`,
  );
  if (found.length !== ordinals.length) {
    throw new ProblemError(
      'internal',
      `${ordinals.length - found.length} cases of version ${version} are missing from storage.`,
    );
  }
  return found.map((row) => row.case_id);
}

/** Which of the ids are cases of the version, as a map to their ordinals. */
export async function findOrdinals(
  orm: Orm,
  { datasetId, version, ids }: VersionKey & { ids: string[] },
): Promise<Map<string, number>> {
  const ordinals = new Map<string, number>();
  for (let from = 0; from < ids.length; from += pageSize) {
    const found = await rows<{ case_id: string; ordinal: number }>(
      orm,
      sql`select c.case_id, c.ordinal from jsonb_array_elements_text(${JSON.stringify(ids.slice(from, from + pageSize))}::jsonb) wanted (id)
        join cases c on c.dataset_id = ${datasetId} and c.case_id = wanted.id
        and c.valid_from <= ${version} and (c.valid_to is null or c.valid_to > ${version})`,
    );
    for (const row of found) ordinals.set(row.case_id, row.ordinal);
  }
  return ordinals;
}

export type UploadCounts = { inserted: number; updated: number; removed: number };

export type Upload = {
  datasetId: string;
  version: number;
  /** JSON arrays of `{id, attributes, files, removed}`, a few thousand lines each. */
  batches: string[];
  received: number;
  part: number | null;
  bodyDigest: string;
};

/** Stores one upload part, all of it or nothing; null when the version is no draft. */
export async function insertCases(
  orm: Orm,
  upload: Upload,
  audit: (counts: UploadCounts) => AuditEntry,
): Promise<UploadCounts | null> {
  const { datasetId, version } = upload;
  return await orm.transaction(async (tx) => {
    if (!(await lockDraft(tx, { datasetId, number: version }))) return null;
    const counts: UploadCounts = { inserted: 0, updated: 0, removed: 0 };
    for (const batch of upload.batches) {
      const stored = await storeBatch(tx, { datasetId, version, batch });
      counts.inserted += stored.inserted;
      counts.updated += stored.updated;
      counts.removed += stored.removed;
    }
    if (upload.part !== null) {
      await tx.insert(uploadParts).values({
        datasetId,
        number: version,
        part: upload.part,
        bodyDigest: upload.bodyDigest,
        answer: { received: upload.received, ...counts },
      });
    }
    // Embedded Postgres has no autovacuum: without statistics the next part's joins are quadratic.
    if (upload.received >= 1_000) await tx.execute(sql`select analyze_cases()`);
    await appendAudit(tx, audit(counts));
    return counts;
  });
}

// A live row of this draft is changed in place; one of an earlier version is closed at this draft
// and, unless the line removes the case, followed by a new row with the same ordinal. A case that
// was added and removed within the draft keeps an empty range, so its ordinal is never given to
// another.
async function storeBatch(
  tx: Orm,
  { datasetId, version, batch }: { datasetId: string; version: number; batch: string },
): Promise<UploadCounts> {
  const lines = sql`jsonb_to_recordset(${batch}::jsonb) as line (id text, attributes jsonb, files jsonb, removed boolean)`;
  const live = sql`c.dataset_id = ${datasetId} and c.case_id = line.id and c.valid_to is null`;
  const changed = sql`(line.removed or c.attributes is distinct from line.attributes or c.files is distinct from line.files)`;
  const dropped = await rows(
    tx,
    sql`update cases c set valid_to = ${version} from ${lines}
      where ${live} and line.removed and c.valid_from = ${version} returning 1`,
  );
  const edited = await rows(
    tx,
    sql`update cases c set attributes = line.attributes, files = line.files from ${lines}
      where ${live} and line.removed is not true and c.valid_from = ${version} and ${changed} returning 1`,
  );
  const closed = await rows<{ removed: boolean | null }>(
    tx,
    sql`update cases c set valid_to = ${version} from ${lines}
      where ${live} and c.valid_from < ${version} and ${changed} returning line.removed`,
  );
  const added = await rows(
    tx,
    sql`insert into cases (dataset_id, ordinal, case_id, valid_from, attributes, files)
      select ${datasetId}, coalesce(known.ordinal, start.ordinal + row_number() over (partition by known.ordinal is null order by line.id))::int,
        line.id, ${version}::int, line.attributes, line.files
      from ${lines}
      left join lateral (select old.ordinal, old.valid_to from cases old where old.dataset_id = ${datasetId}
        and old.case_id = line.id order by old.valid_to nulls first limit 1) known on true
      cross join (select coalesce(max(ordinal), -1)::int as ordinal from cases where dataset_id = ${datasetId}) start
      where line.removed is not true and (known.ordinal is null or known.valid_to is not null)
      on conflict (dataset_id, ordinal, valid_from) do update
        set attributes = excluded.attributes, files = excluded.files, valid_to = null
      returning 1`,
  );
  const removedFromBase = closed.filter((row) => row.removed === true).length;
  const replaced = closed.length - removedFromBase;
  return {
    inserted: added.length - replaced,
    updated: edited.length + replaced,
    removed: dropped.length + removedFromBase,
  };
}

export async function findUploadPart(
  orm: Orm,
  { datasetId, version, part }: VersionKey & { part: number },
): Promise<{ bodyDigest: string; answer: unknown } | undefined> {
  const [row] = await orm
    .select({ bodyDigest: uploadParts.bodyDigest, answer: uploadParts.answer })
    .from(uploadParts)
    .where(
      and(
        eq(uploadParts.datasetId, datasetId),
        eq(uploadParts.number, version),
        eq(uploadParts.part, part),
      ),
    );
  return row;
}

export async function countCases(orm: Orm, { datasetId, version }: VersionKey): Promise<number> {
  const [row] = await rows<{ count: number }>(
    orm,
    sql`select count(*)::int as count from cases where dataset_id = ${datasetId}
      and valid_from <= ${version} and (valid_to is null or valid_to > ${version})`,
  );
  return row.count;
}
