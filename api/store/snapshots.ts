// Snapshots: a row of facts and vectors in chunks of 8,192 cases, in digest order. Vectors are read
// as raw bytes through array_send: drivers parse arrays of numbers several times slower.

import { and, asc, eq, gt, or, sql } from 'drizzle-orm';
import { ProblemError } from '../errors.ts';
import { type AuditEntry, appendAudit } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { arrayLiteral, float64Array, int32Array, wholeNumbers } from './number-arrays.ts';
import { snapshots } from './schema.ts';
import { listWithdrawnOfFold } from './withdrawals.ts';

export type SnapshotRow = typeof snapshots.$inferSelect;

/** Cases of one chunk: `ordinals`, units out of 2^52, loss factors and scores, in digest order. */
export type SnapshotVectors = {
  ordinals: Int32Array;
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
  scores: Float64Array;
};

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
  { datasetId, after, limit }: { datasetId: string; after?: string; limit: number },
): Promise<SnapshotRow[]> {
  return await orm
    .select()
    .from(snapshots)
    .where(and(eq(snapshots.datasetId, datasetId), gt(snapshots.id, after ?? '')))
    .orderBy(asc(snapshots.id))
    .limit(limit);
}

/** Stores a snapshot with its vectors; null when the same inputs were frozen meanwhile. */
export async function insertSnapshot(
  orm: Orm,
  { row, ids, vectors }: { row: SnapshotRow; ids: string[]; vectors: SnapshotVectors },
  audit: AuditEntry,
): Promise<SnapshotRow | null> {
  return await orm.transaction(async (tx) => {
    const [added] = await tx.insert(snapshots).values(row).onConflictDoNothing().returning();
    if (added === undefined) return null;
    for (let from = 0, chunk = 0; from < ids.length; from += chunkCases, chunk++) {
      const to = Math.min(from + chunkCases, ids.length);
      await tx.execute(sql`
        insert into snapshot_chunks (snapshot_id, chunk, ids, ordinals, target_units, draw_units, loss_factors, scores)
        values (${row.id}, ${chunk}, ${ids.slice(from, to).join('\n')},
          ${arrayLiteral(vectors.ordinals.subarray(from, to))}::int[],
          ${arrayLiteral(vectors.targetUnits.subarray(from, to))}::bigint[],
          ${arrayLiteral(vectors.drawUnits.subarray(from, to))}::bigint[],
          ${arrayLiteral(vectors.lossFactors.subarray(from, to))}::float8[],
          ${arrayLiteral(vectors.scores.subarray(from, to))}::float8[])`);
    }
    await appendAudit(tx, audit);
    await refuseWithdrawnMeanwhile(tx, row);
    return added;
  });
}

// The audit lock is held here, and a withdrawal takes it too: what is read now stays so.
async function refuseWithdrawnMeanwhile(tx: Orm, row: SnapshotRow): Promise<void> {
  const { datasetId, version, split, header } = row;
  const now = await listWithdrawnOfFold(tx, { datasetId, version, split, fold: header.fold });
  if (now.length === row.withdrawn.length) return;
  throw new ProblemError(
    'conflict',
    'A case of this fold was withdrawn while the snapshot was made; nothing was stored. Freeze again.',
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
