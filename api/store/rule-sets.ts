// Rule sets: each name has versions 1, 2, 3 ...; a stored one never changes.

import { and, asc, desc, eq, gt, lt, max } from 'drizzle-orm';
import { type AuditEntry, appendAudit } from './audit.ts';
import type { Orm } from './database.ts';
import { ruleSets } from './schema.ts';

export type RuleSetRow = typeof ruleSets.$inferSelect;

/** Finds a rule set by id, `name@version`, or `name` (its newest version). */
export async function findRuleSet(
  orm: Orm,
  { datasetId, key }: { datasetId: string; key: string },
): Promise<RuleSetRow | undefined> {
  const named = /^(.+)@(\d{1,9})$/.exec(key);
  const all = await orm
    .select()
    .from(ruleSets)
    .where(
      and(
        eq(ruleSets.datasetId, datasetId),
        named === null
          ? eq(ruleSets.name, key)
          : and(eq(ruleSets.name, named[1]), eq(ruleSets.version, Number(named[2]))),
      ),
    )
    .orderBy(asc(ruleSets.version));
  return all.at(-1) ?? (await findRuleSetById(orm, { datasetId, id: key }));
}

export async function findRuleSetById(
  orm: Orm,
  { datasetId, id }: { datasetId: string; id: string },
): Promise<RuleSetRow | undefined> {
  const [row] = await orm
    .select()
    .from(ruleSets)
    .where(and(eq(ruleSets.datasetId, datasetId), eq(ruleSets.id, id)));
  return row;
}

export async function listRuleSets(
  orm: Orm,
  { datasetId, after, limit }: { datasetId: string; after?: string; limit: number },
): Promise<RuleSetRow[]> {
  return await orm
    .select()
    .from(ruleSets)
    .where(and(eq(ruleSets.datasetId, datasetId), gt(ruleSets.id, after ?? '')))
    .orderBy(asc(ruleSets.id))
    .limit(limit);
}

/** The versions of a name, newest first, below number `before`. */
export async function listRuleSetVersions(
  orm: Orm,
  key: { datasetId: string; name: string; before?: number; limit: number },
): Promise<RuleSetRow[]> {
  return await orm
    .select()
    .from(ruleSets)
    .where(
      and(
        eq(ruleSets.datasetId, key.datasetId),
        eq(ruleSets.name, key.name),
        key.before === undefined ? undefined : lt(ruleSets.version, key.before),
      ),
    )
    .orderBy(desc(ruleSets.version))
    .limit(key.limit);
}

/** Stores the next version of a named rule set; null when another version came in between. */
export async function insertRuleSet(
  orm: Orm,
  row: Omit<RuleSetRow, 'version'>,
  audit: (version: number) => AuditEntry,
): Promise<RuleSetRow | null> {
  return await orm.transaction(async (tx) => {
    const [newest] = await tx
      .select({ version: max(ruleSets.version) })
      .from(ruleSets)
      .where(and(eq(ruleSets.datasetId, row.datasetId), eq(ruleSets.name, row.name)));
    const version = (newest?.version ?? 0) + 1;
    const [added] = await tx
      .insert(ruleSets)
      .values({ ...row, version })
      .onConflictDoNothing()
      .returning();
    if (added === undefined) return null;
    await appendAudit(tx, audit(version));
    return added;
  });
}
