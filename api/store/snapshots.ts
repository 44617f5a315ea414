// Snapshots: a row of facts and vectors in chunks of 8,192 cases, in digest order. Vectors are read
// as raw bytes through array_send: drivers parse arrays of numbers several times slower.

import { and, asc, eq, gt, or, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { canonicalText, sha256Text } from '../ids.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { arrayLiteral, float64Array, int32Array, wholeNumbers } from './number-arrays.ts';
import { snapshots } from './schema.ts';
import { digestOfChunks, type SnapshotVectors, vectorsDigest } from './vector-digests.ts';
import { listWithdrawnOfFold } from './withdrawals.ts';

export type SnapshotRow = typeof snapshots.$inferSelect;

export const chunkCases = 8_192;

/** Finds a snapshot of the workspace by id or digest. */
export async function findSnapshot(
  orm: Orm,
  { workspaceId, key }: { workspaceId: string; key: string },
): Promise<SnapshotRow | undefined> {
  const [row] = await orm
    .select()
    .from(snapshots)
    .where(
      and(
        eq(snapshots.workspaceId, workspaceId),
        or(eq(snapshots.id, key), eq(snapshots.digest, key)),
      ),
    )
    .orderBy(asc(snapshots.id))
    .limit(1);
  return row;
}

export async function findSnapshotById(orm: Orm, id: string): Promise<SnapshotRow | undefined> {
  const [row] = await orm.select().from(snapshots).where(eq(snapshots.id, id));
  return row;
}

/** Finds the snapshot that the same inputs made before. */
export async function findSnapshotByInput(
  orm: Orm,
  { workspaceId, inputDigest }: { workspaceId: string; inputDigest: string },
): Promise<SnapshotRow | undefined> {
  const [row] = await orm
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.workspaceId, workspaceId), eq(snapshots.inputDigest, inputDigest)));
  return row;
}

export async function listSnapshots(
  orm: Orm,
  key: { datasetId: string; batchId?: string; after?: string; limit: number },
): Promise<SnapshotRow[]> {
  return await orm
    .select()
    .from(snapshots)
    .where(
      and(
        eq(snapshots.datasetId, key.datasetId),
        key.batchId === undefined ? undefined : eq(snapshots.batchId, key.batchId),
        gt(snapshots.id, key.after ?? ''),
      ),
    )
    .orderBy(asc(snapshots.id))
    .limit(key.limit);
}

/** What a snapshot is stored from: its row, and its cases in digest order. */
export type MadeSnapshot = { row: SnapshotRow; ids: string[]; vectors: SnapshotVectors };

/**
 * Stores snapshots with their vectors, all or none, each with its audit entry; null in the place of
 * one whose inputs were frozen meanwhile. The detail of an audit entry gets `digest` (the
 * snapshot's), `vectors` (digest of the chunk digests) and `record` (digest of the row): what
 * `GET /v1/audit/verify` compares the stored numbers with.
 */
export async function insertSnapshots(
  orm: Orm,
  made: MadeSnapshot[],
  audits: AuditEntry[],
): Promise<(SnapshotRow | null)[]> {
  return await orm.transaction(async (tx) => {
    const stored = new Map<string, { row: SnapshotRow; kept: Record<string, string> }>();
    // In one order, and before the lock of the chain: requests for the same folds wait in a line.
    for (const one of made.toSorted((a, b) => (a.row.inputDigest < b.row.inputDigest ? -1 : 1))) {
      const added = await insertSnapshot(tx, one);
      if (added !== null) stored.set(one.row.id, added);
    }
    for (const [k, { row }] of made.entries()) {
      const added = stored.get(row.id);
      if (added === undefined) continue;
      await appendAudit(tx, { ...audits[k], detail: { ...audits[k].detail, ...added.kept } });
      await refuseWithdrawnMeanwhile(tx, row);
    }
    return made.map(({ row }) => stored.get(row.id)?.row ?? null);
  });
}

/** Stores one snapshot inside a transaction, with what its audit entry keeps; null where known. */
export async function insertSnapshot(tx: Orm, { row, ids, vectors }: MadeSnapshot) {
  const [added] = await tx.insert(snapshots).values(row).onConflictDoNothing().returning();
  if (added === undefined) return null;
  const digests = await insertChunks(tx, { snapshotId: row.id, ids, vectors });
  const kept = {
    digest: row.digest,
    vectors: await digestOfChunks(digests),
    record: await sha256Text(recordText(row)),
  };
  return { row: added, kept };
}

/** Stores vectors chunk by chunk, each with its digest; answers the digests in order. */
async function insertChunks(
  tx: Orm,
  { snapshotId, ids, vectors }: { snapshotId: string; ids: string[]; vectors: SnapshotVectors },
): Promise<string[]> {
  const digests: string[] = [];
  for (let from = 0; from < ids.length; from += chunkCases) {
    const to = Math.min(from + chunkCases, ids.length);
    const part: SnapshotVectors = {
      ordinals: vectors.ordinals.subarray(from, to),
      targetUnits: vectors.targetUnits.subarray(from, to),
      drawUnits: vectors.drawUnits.subarray(from, to),
      lossFactors: vectors.lossFactors.subarray(from, to),
      // Postgres is given decimal text, in which a negative zero is 0.
      scores: vectors.scores.subarray(from, to).map((score) => score + 0),
    };
    const digest = await vectorsDigest(part);
    await tx.execute(sql`
      insert into snapshot_chunks (snapshot_id, chunk, ids, ordinals, target_units, draw_units,
        loss_factors, scores, digest)
      values (${snapshotId}, ${digests.length}, ${ids.slice(from, to).join('\n')},
        ${arrayLiteral(part.ordinals)}::int[], ${arrayLiteral(part.targetUnits)}::bigint[],
        ${arrayLiteral(part.drawUnits)}::bigint[], ${arrayLiteral(part.lossFactors)}::float8[],
        ${arrayLiteral(part.scores)}::float8[], ${digest})`);
    digests.push(digest);
  }
  return digests;
}

/**
 * Every fact of a snapshot's row as canonical JSON. Columns that are added later do not belong to
 * it: the digest of an older row must stay what it was.
 */
export function recordText(row: SnapshotRow): string {
  const { id, workspaceId, datasetId, version, split, fold, ruleSetId, parentId } = row;
  const { digest, scoresDigest, inputDigest, header, diagnostics } = row;
  const { excluded, withdrawn, batchId, reason, createdAt, createdBy } = row;
  const inputs = { datasetId, version, split, fold, ruleSetId, parentId, inputDigest };
  const found = { digest, scoresDigest, header, diagnostics, excluded, withdrawn, batchId };
  return canonicalText({ id, workspaceId, ...inputs, ...found, reason, createdAt, createdBy });
}

// The audit lock is held here, and a withdrawal takes it too: what is read now stays so.
async function refuseWithdrawnMeanwhile(tx: Orm, row: SnapshotRow): Promise<void> {
  const { datasetId, version, split, header } = row;
  const now = await listWithdrawnOfFold(tx, { datasetId, version, split, fold: header.fold });
  if (now.length === row.withdrawn.length) return;
  throw new ProblemError(
    'conflict',
    `A case of fold ${row.fold} was withdrawn while the snapshot was made; nothing was stored. Freeze again.`,
  );
}

export type SnapshotChunk = SnapshotVectors & { ids: string[] };

/** The chunks of a snapshot in order; the next one is fetched while one is worked on. */
export async function* listSnapshotChunks(
  orm: Orm,
  snapshotId: string,
): AsyncGenerator<SnapshotChunk> {
  let next = findChunk(orm, snapshotId, 0);
  try {
    for (let chunk = 1; ; chunk++) {
      const found = await next;
      if (found === null) return;
      next = findChunk(orm, snapshotId, chunk);
      // Awaited in its turn; a reader who leaves early must not leave a failure behind.
      next.catch(() => {});
      yield found;
    }
  } finally {
    await next.catch(() => {});
  }
}

type ChunkBytes = Record<keyof SnapshotVectors, Uint8Array> & { ids: string };

async function findChunk(
  orm: Orm,
  snapshotId: string,
  chunk: number,
): Promise<SnapshotChunk | null> {
  const [row] = await rows<ChunkBytes>(
    orm,
    sql`select ids, array_send(ordinals) as "ordinals", array_send(target_units) as "targetUnits",
      array_send(draw_units) as "drawUnits", array_send(loss_factors) as "lossFactors",
      array_send(scores) as "scores"
      from snapshot_chunks where snapshot_id = ${snapshotId} and chunk = ${chunk}`,
  );
  if (row === undefined) return null;
  return {
    ids: row.ids.split('\n'),
    ordinals: int32Array(row.ordinals),
    targetUnits: wholeNumbers(row.targetUnits),
    drawUnits: wholeNumbers(row.drawUnits),
    lossFactors: float64Array(row.lossFactors),
    scores: float64Array(row.scores),
  };
}

/** Only the draw units of a snapshot, in digest order: what a plan of draws is made from. */
export async function findDrawUnits(orm: Orm, snapshotId: string): Promise<Float64Array> {
  const chunks = await rows<{ units: Uint8Array }>(
    orm,
    sql`select array_send(draw_units) as units from snapshot_chunks
      where snapshot_id = ${snapshotId} order by chunk`,
  );
  const parts = chunks.map(({ units }) => wholeNumbers(units));
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
