// Which heads of audit chains were written down elsewhere, and when. Rows never change.

import { desc, eq, sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';
import { auditAnchors } from './schema.ts';

export type AnchorRow = typeof auditAnchors.$inferSelect;

/** The head of one workspace's chain, and the anchor before, if any. */
export type HeadToAnchor = {
  workspaceId: string;
  sequence: number;
  hash: string;
  at: Date;
  last: { sequence: number; at: Date } | null;
};

/** The workspaces whose newest entry is not the one that was anchored last. */
export async function listHeadsToAnchor(orm: Orm): Promise<HeadToAnchor[]> {
  const found = await rows<{
    workspaceId: string;
    sequence: number | string;
    hash: string;
    at: Date | string;
    lastSequence: number | string | null;
    lastAt: Date | string | null;
  }>(
    orm,
    sql`select w.id as "workspaceId", head.sequence, head.hash, head.at,
        last.sequence as "lastSequence", last.at as "lastAt"
      from workspaces w
      cross join lateral (select e.sequence, e.hash, e.at from audit_entries e
        where e.workspace_id = w.id order by e.sequence desc limit 1) head
      left join lateral (select a.sequence, a.hash, a.at from audit_anchors a
        where a.workspace_id = w.id order by a.at desc limit 1) last on true
      where last.hash is distinct from head.hash
      order by w.id`,
  );
  return found.map(({ workspaceId, sequence, hash, at, lastSequence, lastAt }) => ({
    workspaceId,
    sequence: Number(sequence),
    hash,
    at: new Date(at),
    last: lastAt === null ? null : { sequence: Number(lastSequence), at: new Date(lastAt) },
  }));
}

export async function insertAnchor(orm: Orm, row: AnchorRow): Promise<void> {
  await orm.insert(auditAnchors).values(row).onConflictDoNothing();
}

export async function findLastAnchor(
  orm: Orm,
  workspaceId: string,
): Promise<AnchorRow | undefined> {
  const [row] = await orm
    .select()
    .from(auditAnchors)
    .where(eq(auditAnchors.workspaceId, workspaceId))
    .orderBy(desc(auditAnchors.at))
    .limit(1);
  return row;
}

/** Anchors whose entry is gone or another one, oldest first. */
export async function listLostAnchors(
  orm: Orm,
  { workspaceId, limit }: { workspaceId: string; limit: number },
): Promise<{ sequence: number; at: Date }[]> {
  const found = await rows<{ sequence: number | string; at: Date | string }>(
    orm,
    sql`select a.sequence, a.at from audit_anchors a where a.workspace_id = ${workspaceId}
      and not exists (select 1 from audit_entries e where e.workspace_id = a.workspace_id
        and e.sequence = a.sequence and e.hash = a.hash) order by a.at limit ${limit}`,
  );
  return found.map(({ sequence, at }) => ({ sequence: Number(sequence), at: new Date(at) }));
}
