// Scores of a draft's cases: one attribute of many cases, changed by validity range as uploads do.

import { sql } from 'drizzle-orm';
import type { AttributeMap } from '../contract/attributes.ts';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { setAttributes } from './datasets.ts';
import { lockDraft } from './versions.ts';

const batchScores = 20_000;

export type Scores = {
  attribute: string;
  /** The score of a case by its ordinal; null takes the value away. */
  scores: Map<number, number | null>;
  /** The schema that declares the attribute, where this import does so. */
  declare: { from: AttributeMap; to: AttributeMap } | null;
};

/**
 * Stores scores in a draft, all or nothing; null when the version is no draft. `prepare` runs under
 * the draft's lock, so neither its cases nor its splits change between check and write.
 */
export async function insertScores<Prepared extends Scores>(
  orm: Orm,
  { datasetId, version }: { datasetId: string; version: number },
  prepare: (tx: Orm) => Promise<Prepared>,
  audit: (prepared: Prepared, changed: number) => AuditEntry,
): Promise<{ prepared: Prepared; changed: number } | null> {
  return await orm.transaction(async (tx) => {
    if (!(await lockDraft(tx, { datasetId, number: version }))) return null;
    const prepared = await prepare(tx);
    const { attribute, scores, declare } = prepared;
    if (declare !== null && !(await setAttributes(tx, { datasetId, ...declare }))) {
      throw new ProblemError('conflict', 'The attributes changed at the same moment; try again.');
    }
    const entries = Array.from(scores, ([ordinal, score]) => ({ ordinal, score }));
    let changed = 0;
    for (let from = 0; from < entries.length; from += batchScores) {
      const batch = JSON.stringify(entries.slice(from, from + batchScores));
      changed += await storeBatch(tx, { datasetId, version, attribute, batch });
    }
    if (entries.length >= 1_000) await tx.execute(sql`select analyze_cases()`);
    await appendAudit(tx, audit(prepared, changed));
    return { prepared, changed };
  });
}

// A row that this draft made is changed in place. One of an earlier version is closed at the draft
// and followed by a new one, so that committed versions keep their values.
async function storeBatch(
  tx: Orm,
  {
    datasetId,
    version,
    attribute,
    batch,
  }: { datasetId: string; version: number; attribute: string; batch: string },
): Promise<number> {
  const stored = await rows(
    tx,
    sql`with wanted as materialized (
        select c.ordinal, c.case_id, c.valid_from, c.files,
          case when line.score is null then c.attributes - ${attribute}::text
          else c.attributes || jsonb_build_object(${attribute}::text, line.score) end as attributes
        from jsonb_to_recordset(${batch}::jsonb) as line (ordinal int, score numeric)
        join cases c on c.dataset_id = ${datasetId} and c.ordinal = line.ordinal and c.valid_to is null
        where c.attributes -> ${attribute}::text is distinct from to_jsonb(line.score)
      ), edited as (
        update cases c set attributes = wanted.attributes from wanted
        where c.dataset_id = ${datasetId} and c.ordinal = wanted.ordinal
          and c.valid_from = wanted.valid_from and wanted.valid_from = ${version} returning 1
      ), closed as (
        update cases c set valid_to = ${version} from wanted
        where c.dataset_id = ${datasetId} and c.ordinal = wanted.ordinal
          and c.valid_from = wanted.valid_from and wanted.valid_from < ${version}
        returning wanted.ordinal, wanted.case_id, wanted.attributes, wanted.files
      ), added as (
        insert into cases (dataset_id, ordinal, case_id, valid_from, attributes, files)
        select ${datasetId}, ordinal, case_id, ${version}::int, attributes, files from closed
        returning 1
      )
      select 1 from edited union all select 1 from added`,
  );
  return stored.length;
}

/** How many of the ordinals are cases of the version, and the first of them by id. */
export async function findCasesOf(
  orm: Orm,
  key: { datasetId: string; version: number; ordinals: number[]; limit: number },
): Promise<{ count: number; ids: string[] }> {
  const found = await rows<{ case_id: string; count: number }>(
    orm,
    sql`select c.case_id, (count(*) over ())::int as count
      from unnest(${`{${key.ordinals.join(',')}}`}::int[]) wanted (ordinal)
      join cases c on c.dataset_id = ${key.datasetId} and c.ordinal = wanted.ordinal
        and c.valid_from <= ${key.version} and (c.valid_to is null or c.valid_to > ${key.version})
      order by c.case_id limit ${key.limit}`,
  );
  return { count: found[0]?.count ?? 0, ids: found.map((row) => row.case_id) };
}
