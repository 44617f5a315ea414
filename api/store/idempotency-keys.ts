// Answers kept under an Idempotency-Key for seven days.

import { and, eq, lt } from 'drizzle-orm';
import type { Orm } from './database.ts';
import { idempotencyKeys } from './schema.ts';

type KeyRow = typeof idempotencyKeys.$inferSelect;
type KeyName = { workspaceId: string; key: string };

const keptForMs = 7 * 24 * 3600 * 1000;

const named = ({ workspaceId, key }: KeyName) =>
  and(eq(idempotencyKeys.workspaceId, workspaceId), eq(idempotencyKeys.key, key));

/** Claims a key for a request; the row that stands there already, or null when claimed. */
export async function insertIdempotencyKey(
  orm: Orm,
  row: KeyName & { requestDigest: string; createdAt: Date },
): Promise<KeyRow | null> {
  const expired = new Date(row.createdAt.getTime() - keptForMs);
  await orm.delete(idempotencyKeys).where(and(named(row), lt(idempotencyKeys.createdAt, expired)));
  const added = await orm.insert(idempotencyKeys).values(row).onConflictDoNothing().returning();
  if (added.length > 0) return null;
  const [known] = await orm.select().from(idempotencyKeys).where(named(row));
  return known ?? null;
}

export async function moveIdempotencyKey(
  orm: Orm,
  { answer, status, ...name }: KeyName & { status: number; answer: string },
): Promise<void> {
  await orm.update(idempotencyKeys).set({ status, answer }).where(named(name));
}

/** Forgets a key whose request failed, so that it may be tried again. */
export async function deleteIdempotencyKey(orm: Orm, name: KeyName): Promise<void> {
  await orm.delete(idempotencyKeys).where(named(name));
}
