// What the store needs of a database, whichever driver is behind it. On PGlite never touch the
// outer handle inside a transaction: it has one connection and would wait for itself.

import { type SQL, sql } from 'drizzle-orm';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';

/** A drizzle handle or transaction on any of the three drivers. */
// biome-ignore lint/suspicious/noExplicitAny: drivers differ in result type; rows() narrows it
export type Orm = PgDatabase<PgQueryResultHKT, any>;

export type DatabaseKind = 'pglite' | 'postgres' | 'neon';

/** What a connection calls itself when it works for the service and not for one workspace. */
export const everyWorkspace = '*';

/**
 * An open database. `orm` sees every workspace: it is for finding out who asks, and for the
 * service's own work. `within` is what a request gets: under row-level security it sees one
 * workspace (where the driver's role is not the owner of the tables). `script` runs a text of
 * several statements (migrations only).
 */
export type Database = {
  kind: DatabaseKind;
  orm: Orm;
  within: (workspaceId: string) => Orm;
  script: (text: string) => Promise<void>;
  /** One connection for all of the work: what a lock of the session needs. */
  session: <Value>(work: (session: Session) => Promise<Value>) => Promise<Value>;
  /** How many connections there are, idle ones, and requests that wait for one. */
  connections?: () => Connections;
  close: () => Promise<void>;
};

export type Session = Pick<Database, 'orm' | 'script'>;

export type Connections = { open: number; idle: number; waiting: number };

/** The rows of a raw query; every driver answers them under `rows`. */
export async function rows<Row>(orm: Orm, query: SQL): Promise<Row[]> {
  const result = (await orm.execute(query)) as unknown as { rows: Row[] };
  return result.rows;
}

/** Asks the database for one value; throws where it does not answer. */
export async function ping(orm: Orm): Promise<void> {
  await orm.execute(sql`select 1`);
}
