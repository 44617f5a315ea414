// The draws that trainers reported, each range with what its replay said. Rows never change, and
// each row of a job is chained to the one before: `hash` = SHA-256(hash before, newline, the row).

import { and, asc, count, desc, eq, gt, sql } from 'drizzle-orm';
import { canonicalText, sha256Text } from '../ids.ts';
import { genesisHash } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { drawLedger } from './schema-jobs.ts';

export type StoredLedgerRow = typeof drawLedger.$inferSelect;
export type LedgerRow = Omit<StoredLedgerRow, 'sequence' | 'hash'>;

/** How many rows a job's ledger has, the hash of the last, and how many have none, if any. */
export type LedgerHead = { rows: number; hash: string; older?: number };

/** The hash of a row that follows `previous`; its own stored hash plays no part. */
export async function ledgerHash(previous: string, row: StoredLedgerRow): Promise<string> {
  const { hash: _, ...facts } = row;
  return await sha256Text(`${previous}\n${canonicalText(facts)}`);
}

/**
 * Appends rows of one job. Two writers of one job must not be here at once: the caller holds the
 * row of its live attempt, and a job has one.
 */
export async function insertLedgerRows(tx: Orm, added: LedgerRow[]): Promise<void> {
  if (added.length === 0) return;
  const numbers = await rows<{ sequence: number | string }>(
    tx,
    sql`select nextval(pg_get_serial_sequence('draw_ledger', 'sequence')) as sequence
      from generate_series(1, ${added.length}::int)`,
  );
  let { hash } = await ledgerHead(tx, added[0].jobId);
  const chained: StoredLedgerRow[] = [];
  for (const [k, facts] of added.entries()) {
    const row = { ...facts, sequence: Number(numbers[k].sequence), hash: null };
    hash = await ledgerHash(hash, row);
    chained.push({ ...row, hash });
  }
  await tx.insert(drawLedger).values(chained);
}

/** The end of a job's ledger. Rows older than the column `hash` are chained here, as they lie. */
export async function ledgerHead(orm: Orm, jobId: string): Promise<LedgerHead> {
  const [last] = await orm
    .select({ hash: drawLedger.hash })
    .from(drawLedger)
    .where(eq(drawLedger.jobId, jobId))
    .orderBy(desc(drawLedger.sequence))
    .limit(1);
  if (last === undefined) return { rows: 0, hash: genesisHash };
  if (last.hash !== null) {
    const [counted] = await orm
      .select({ rows: count(), hashed: count(drawLedger.hash) })
      .from(drawLedger)
      .where(eq(drawLedger.jobId, jobId));
    const older = counted.rows - counted.hashed;
    return { rows: counted.rows, hash: last.hash, ...(older > 0 ? { older } : {}) };
  }
  let hash = genesisHash;
  let length = 0;
  for await (const row of walkLedger(orm, jobId)) {
    hash = await ledgerHash(hash, row);
    length++;
  }
  return { rows: length, hash, older: length };
}

const walkedRows = 1_000;

/** Every row of a job's ledger in order, fetched a page at a time. */
export async function* walkLedger(orm: Orm, jobId: string): AsyncGenerator<StoredLedgerRow> {
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const found = await orm
      .select()
      .from(drawLedger)
      .where(and(eq(drawLedger.jobId, jobId), gt(drawLedger.sequence, after)))
      .orderBy(asc(drawLedger.sequence))
      .limit(walkedRows);
    yield* found;
    if (found.length < walkedRows) return;
    after = found[found.length - 1].sequence;
  }
}

export async function listLedger(orm: Orm, jobId: string) {
  return await orm
    .select()
    .from(drawLedger)
    .where(eq(drawLedger.jobId, jobId))
    .orderBy(asc(drawLedger.sequence));
}

/** The last ranges that a job reported, in their order. */
export async function listLastRanges(
  orm: Orm,
  { jobId, limit }: { jobId: string; limit: number },
): Promise<StoredLedgerRow[]> {
  const found = await orm
    .select()
    .from(drawLedger)
    .where(eq(drawLedger.jobId, jobId))
    .orderBy(desc(drawLedger.sequence))
    .limit(limit);
  return found.reverse();
}

/** Every range of one epoch of a job, in the order they were reported. */
export async function listEpochRanges(
  orm: Orm,
  { jobId, epoch }: { jobId: string; epoch: number },
): Promise<StoredLedgerRow[]> {
  return await orm
    .select()
    .from(drawLedger)
    .where(and(eq(drawLedger.jobId, jobId), eq(drawLedger.epoch, epoch)))
    .orderBy(asc(drawLedger.sequence));
}

/**
 * The epoch of an attempt's last range and the draw where that ends, and the furthest epoch that
 * any attempt of the job reported: -1 where none did.
 */
export async function lastEpochs(
  orm: Orm,
  { jobId, attempt }: { jobId: string; attempt: number },
): Promise<{ last: { epoch: number; until: number } | null; furthest: number }> {
  const [{ last, furthest }] = await rows<{ last: number[] | null; furthest: number }>(
    orm,
    sql`select coalesce(max(epoch), -1) as furthest,
      (select jsonb_build_array(epoch, from_draw + draws) from draw_ledger
        where job_id = ${jobId} and attempt = ${attempt}::int
        order by sequence desc limit 1) as last
      from draw_ledger where job_id = ${jobId}`,
  );
  return { last: last === null ? null : { epoch: last[0], until: last[1] }, furthest };
}

export type EpochCounts = { verified: number; partial: number; mismatch: number };

// `reached` is how far the matching ranges before one have come, so overlaps after a resume count
// once. services/jobs/ledger.ts says the same.
const epochsOf = (jobIds: string[]) => sql`ranges as (
    select job_id, epoch, matches, from_draw, from_draw + draws as until,
      coalesce(max(from_draw + draws) filter (where matches) over (
        partition by job_id, epoch order by from_draw, sequence
        rows between unbounded preceding and 1 preceding), 0) as reached
    from draw_ledger
    where job_id in (select value from jsonb_array_elements_text(${JSON.stringify(jobIds)}::jsonb))
  ), covered as (
    select job_id, epoch, bool_or(not matches) as wrong,
      coalesce(sum(greatest(0, until - greatest(from_draw, reached))) filter (where matches), 0)
        as draws
    from ranges group by job_id, epoch
  ), epochs as (
    select job_id, epoch, wrong, not wrong
      and covered.draws = (jobs.settings ->> 'drawsPerEpoch')::bigint as verified
    from covered join jobs on jobs.id = job_id
  )`;

/** Epochs of jobs by state, counted where they lie. */
export async function countEpochs(orm: Orm, jobIds: string[]): Promise<Map<string, EpochCounts>> {
  if (jobIds.length === 0) return new Map();
  const counted = await rows<EpochCounts & { jobId: string }>(
    orm,
    sql`with ${epochsOf(jobIds)}
    select job_id as "jobId",
      (count(*) filter (where verified))::int as verified,
      (count(*) filter (where not wrong and not verified))::int as partial,
      (count(*) filter (where wrong))::int as mismatch
    from epochs group by job_id`,
  );
  return new Map(counted.map(({ jobId, ...counts }) => [jobId, counts]));
}

export type VerifiedEpochs = { verified: number[]; begun: number };

/** Numbers of the verified epochs of jobs, and how many epochs their ledgers know of. */
export async function listVerifiedEpochs(
  orm: Orm,
  jobIds: string[],
): Promise<Map<string, VerifiedEpochs>> {
  if (jobIds.length === 0) return new Map();
  const found = await rows<VerifiedEpochs & { jobId: string }>(
    orm,
    sql`with ${epochsOf(jobIds)}
    select job_id as "jobId", max(epoch) + 1 as begun,
      coalesce(jsonb_agg(epoch order by epoch) filter (where verified), '[]') as verified
    from epochs group by job_id`,
  );
  return new Map(found.map(({ jobId, ...epochs }) => [jobId, epochs]));
}
