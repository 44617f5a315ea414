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

/** All cases of a version in id order, by pages; the next one is fetched while one is read. */
export async function* listCasePages(
  orm: Orm,
  { datasetId, version, after = '' }: VersionKey & { after?: string },
): AsyncGenerator<CaseRow[]> {
  const pageAfter = (last: string) =>
    listCases(orm, { datasetId, version, after: last, limit: pageSize });
  yield* pagesAhead(pageAfter, after);
}

/** Pages in id order until one is not full, each asked for while the one before is worked on. */
async function* pagesAhead<Row extends { caseId: string }>(
  pageAfter: (last: string) => Promise<Row[]>,
  after: string,
): AsyncGenerator<Row[]> {
  let next: Promise<Row[]> = pageAfter(after);
  try {
    while (true) {
      const page = await next;
      const full = page.length === pageSize;
      next = full ? pageAfter(page[page.length - 1].caseId) : Promise.resolve([]);
      // Awaited in its turn; a reader who leaves early must not leave a failure behind.
      next.catch(() => {});
      if (page.length > 0) yield page;
      if (!full) return;
    }
  } finally {
    await next.catch(() => {});
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

export type CaseColumns = { ordinal: number; caseId: string; values: unknown[] };

/** Only the named attributes of every case in id order, as arrays in the order of `names`. */
export async function* listCaseColumnPages(
  orm: Orm,
  { names, ...key }: VersionKey & { names: string[] },
): AsyncGenerator<CaseColumns[]> {
  const values =
    names.length === 0
      ? sql`'[]'::jsonb`
      : sql`jsonb_build_array(${sql.join(
          names.map((name) => sql`attributes -> ${name}::text`),
          sql`, `,
        )})`;
  const pageAfter = (last: string) =>
    rows<CaseColumns>(
      orm,
      sql`select ordinal, case_id as "caseId", ${values} as "values" from cases
        where dataset_id = ${key.datasetId} and valid_from <= ${key.version}
        and (valid_to is null or valid_to > ${key.version}) and case_id > ${last}
        order by case_id limit ${pageSize}`,
    );
  yield* pagesAhead(pageAfter, '');
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
  batches: AsyncIterable<string>;
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
    for await (const batch of upload.batches) {
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
    await analyzeWhereGrown(tx, datasetId);
    await appendAudit(tx, audit(counts));
    return counts;
  });
}

// Embedded Postgres has no autovacuum, and a server's comes late: without statistics the joins of
// the next part are quadratic. Repeated when the table has grown by half, so that it stays cheap.
async function analyzeWhereGrown(tx: Orm, datasetId: string): Promise<void> {
  await tx.execute(sql`select analyze_cases() from pg_class
    where oid = 'cases'::regclass and 1000 + 1.5 * reltuples
      < (select max(ordinal) from cases where dataset_id = ${datasetId})`);
}

// A live row of this draft is changed in place; one of an earlier version is closed at this draft
// and, unless the line removes the case, followed by a new row with the same ordinal. A case that
// was added and removed within the draft keeps an empty range, so its ordinal is never given to
// another. Cases that were never seen, the rule in a first upload, take one pass over the lines.
async function storeBatch(tx: Orm, batch: Batch): Promise<UploadCounts> {
  const { datasetId, version } = batch;
  const [seen] = await rows<
    Record<'added' | 'dropped' | 'edited' | 'closed' | 'returning', number>
  >(
    tx,
    sql`with line as materialized (select * from ${linesOf(batch)}),
      moved as (
        update cases c set
          valid_to = case when line.removed or c.valid_from < ${version} then ${version}::int end,
          attributes = case when line.removed or c.valid_from < ${version} then c.attributes else line.attributes end,
          files = case when line.removed or c.valid_from < ${version} then c.files else line.files end
        from line where c.dataset_id = ${datasetId} and c.case_id = line.id and c.valid_to is null
          and (line.removed or c.attributes is distinct from line.attributes or c.files is distinct from line.files)
        returning c.valid_from < ${version} as earlier, line.removed is true as removed
      ),
      known as materialized (
        select line.id, bool_or(c.valid_to is null) as live from line
        join cases c on c.dataset_id = ${datasetId} and c.case_id = line.id
        where line.removed is not true group by line.id
      ),
      added as (
        insert into cases (dataset_id, ordinal, case_id, valid_from, attributes, files)
        select ${datasetId}, start.ordinal + row_number() over (order by line.id), line.id, ${version}::int,
          line.attributes, line.files
        from line cross join (select coalesce(max(ordinal), -1) as ordinal from cases where dataset_id = ${datasetId}) start
        where line.removed is not true and line.id not in (select id from known)
        returning 1
      )
      select (select count(*)::int from added) as added,
        (select count(*)::int from known where not live) as returning,
        count(*) filter (where removed)::int as dropped,
        count(*) filter (where not removed and not earlier)::int as edited,
        count(*) filter (where not removed and earlier)::int as closed
      from moved`,
  );
  if (seen.closed + seen.returning > 0) await reopen(tx, batch);
  return {
    inserted: seen.added + seen.returning,
    updated: seen.edited + seen.closed,
    removed: seen.dropped,
  };
}

type Batch = { datasetId: string; version: number; batch: string };

const linesOf = ({ batch }: Batch) =>
  sql`jsonb_to_recordset(${batch}::jsonb) as line (id text, attributes jsonb, files jsonb, removed boolean)`;

// New rows for cases that have rows and none that is live: closed just now, or removed before.
async function reopen(tx: Orm, batch: Batch): Promise<void> {
  await tx.execute(sql`insert into cases (dataset_id, ordinal, case_id, valid_from, attributes, files)
    select ${batch.datasetId}, known.ordinal, line.id, ${batch.version}::int, line.attributes, line.files
    from ${linesOf(batch)}
    join lateral (select min(old.ordinal) as ordinal from cases old
      where old.dataset_id = ${batch.datasetId} and old.case_id = line.id
      having bool_and(old.valid_to is not null)) known on known.ordinal is not null
    where line.removed is not true
    on conflict (dataset_id, ordinal, valid_from) do update
      set attributes = excluded.attributes, files = excluded.files, valid_to = null`);
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
