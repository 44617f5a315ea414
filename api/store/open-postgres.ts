// Postgres through `pg`, for the Node deployment.

import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { type Database, everyWorkspace, type Orm } from './database.ts';
import { poolWithin, withinSession } from './pool-within.ts';

export function openPostgres(options: { url: string; connections?: number }): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections ?? 10,
    connectionTimeoutMillis: 10_000,
  });
  // A dropped idle connection is not a fault of any request; the pool opens another.
  pool.on('error', () => {});
  const within = (workspaceId: string): Orm => drizzle(poolWithin(pool, workspaceId));
  return {
    kind: 'postgres',
    orm: within(everyWorkspace),
    within,
    script: async (text) => {
      await pool.query(text);
    },
    session: (work) => withinSession(pool, (client) => drizzle(client), work),
    connections: () => ({
      open: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    close: () => pool.end(),
  };
}
