// What a check of the chain reads, a page at a time: entries, and the rows that they vouch for. It
// starts below every number that the service gives out, so that what was slipped in is seen too.

import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import type { AuditRow } from './audit.ts';
import { type Orm, rows } from './database.ts';
import { float64Array, int32Array, isWhole, wholeNumbers } from './number-arrays.ts';
import { auditEntries, snapshots } from './schema.ts';
import { jobs } from './schema-jobs.ts';
import type { SnapshotVectors } from './vector-digests.ts';

const walkedRows = 500;

/** Pages of rows until one is not full; `fetch` is given the last row seen. */
export async function* pagesOf<Row>(
  fetch: (after: Row | undefined, limit: number) => Promise<Row[]>,
): AsyncGenerator<Row[]> {
  for (let after: Row | undefined; ; ) {
    const found = await fetch(after, walkedRows);
    if (found.length > 0) yield found;
    if (found.length < walkedRows) return;
    after = found[found.length - 1];
  }
}

/** Every entry of a workspace in order of its sequence. */
export async function* walkAudit(orm: Orm, workspaceId: string): AsyncGenerator<AuditRow> {
  const pages = pagesOf<AuditRow>((last, limit) =>
    orm
      .select()
      .from(auditEntries)
      .where(
        and(
          eq(auditEntries.workspaceId, workspaceId),
          gt(auditEntries.sequence, last?.sequence ?? Number.MIN_SAFE_INTEGER),
        ),
      )
      .orderBy(asc(auditEntries.sequence))
      .limit(limit),
  );
  for await (const page of pages) yield* page;
}

/** Entries of some actions about some subjects, oldest first. */
export async function listEntriesAbout(
  orm: Orm,
  about: { workspaceId: string; actions: string[]; subjects: string[] },
): Promise<AuditRow[]> {
  if (about.subjects.length === 0) return [];
  return await orm
    .select()
    .from(auditEntries)
    .where(
      and(
        eq(auditEntries.workspaceId, about.workspaceId),
        inArray(auditEntries.subject, about.subjects),
        inArray(auditEntries.action, about.actions),
      ),
    )
    .orderBy(asc(auditEntries.sequence));
}

export type SnapshotName = { id: string; digest: string };

/** Pages of the snapshots of a workspace, in id order: their names alone, for rows may be large. */
export function walkSnapshotNames(orm: Orm, workspaceId: string): AsyncGenerator<SnapshotName[]> {
  return pagesOf((last, limit) =>
    orm
      .select({ id: snapshots.id, digest: snapshots.digest })
      .from(snapshots)
      .where(and(eq(snapshots.workspaceId, workspaceId), gt(snapshots.id, last?.id ?? '')))
      .orderBy(asc(snapshots.id))
      .limit(limit),
  );
}

/** Pages of the ids of a workspace's jobs, in id order. */
export function walkJobIds(orm: Orm, workspaceId: string): AsyncGenerator<{ id: string }[]> {
  return pagesOf((last, limit) =>
    orm
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(eq(jobs.workspaceId, workspaceId), gt(jobs.id, last?.id ?? '')))
      .orderBy(asc(jobs.id))
      .limit(limit),
  );
}

/** A chunk as it lies; `vectors` is null where an array is not a plain list of numbers. */
export type StoredChunk = {
  chunk: number;
  ids: string[];
  digest: string | null;
  vectors: SnapshotVectors | null;
};

type ChunkBytes = Record<keyof SnapshotVectors, Uint8Array> & {
  chunk: number;
  ids: string;
  digest: string | null;
};

/** Every chunk of a snapshot by its number, whatever numbers there are; one at a time. */
export async function* walkStoredChunks(orm: Orm, snapshotId: string): AsyncGenerator<StoredChunk> {
  for (let after = -(2 ** 31); ; ) {
    const [row] = await rows<ChunkBytes>(
      orm,
      sql`select chunk, ids, digest, array_send(ordinals) as "ordinals",
        array_send(target_units) as "targetUnits", array_send(draw_units) as "drawUnits",
        array_send(loss_factors) as "lossFactors", array_send(scores) as "scores"
        from snapshot_chunks where snapshot_id = ${snapshotId} and chunk > ${after}
        order by chunk limit 1`,
    );
    if (row === undefined) return;
    const { chunk, ids, digest } = row;
    yield { chunk, ids: ids.split('\n'), digest, vectors: vectorsOf(row) };
    after = chunk;
  }
}

function vectorsOf(row: ChunkBytes): SnapshotVectors | null {
  const { ordinals, targetUnits, drawUnits, lossFactors, scores } = row;
  const doubles = [targetUnits, drawUnits, lossFactors, scores];
  if (!isWhole(ordinals, 4) || !doubles.every((bytes) => isWhole(bytes, 8))) return null;
  return {
    ordinals: int32Array(ordinals),
    targetUnits: wholeNumbers(targetUnits),
    drawUnits: wholeNumbers(drawUnits),
    lossFactors: float64Array(lossFactors),
    scores: float64Array(scores),
  };
}
