// The role that the service works as on Postgres: it owns no table, so triggers, grants and
// row-level security hold for it.

import { sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';

/**
 * Grants a login role what the service needs (migration 0004). Run as the owner of the tables, who
 * alone records what was migrated.
 */
export async function grantService(owner: Orm, role: string): Promise<void> {
  await owner.execute(sql`select grant_service(${role}::name)`);
  await owner.execute(sql`revoke insert on schema_migrations from ${sql.identifier(role)}`);
}

/** True where the connection's role owns the tables: row-level security does not hold for it. */
export async function ownsTables(orm: Orm): Promise<boolean> {
  const [row] = await rows<{ owns: boolean }>(
    orm,
    sql`select pg_has_role(relowner, 'usage') as owns from pg_class
      where oid = 'public.audit_entries'::regclass`,
  );
  return row.owns;
}
