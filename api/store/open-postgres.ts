// Postgres through `pg`, for the Node deployment.

import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { type Database, everyWorkspace, type Orm } from './database.ts';
import { poolWithin, withinSession } from './pool-within.ts';

/**
 * The service's own work has connections of its own, a third of `connections`, so that not every
 * request moves a connection from looking up its token to its workspace and back.
 */
export function openPostgres({
  url,
  connections = 12,
}: {
  url: string;
  connections?: number;
}): Database {
  const own = Math.ceil(connections / 3);
  const service = openPool(url, own);
  const requests = connections === own ? service : openPool(url, connections - own);
  const pools = [...new Set([service, requests])];
  const total = (of: (pool: pg.Pool) => number) => pools.reduce((sum, pool) => sum + of(pool), 0);
  return {
    kind: 'postgres',
    orm: drizzle(poolWithin(service, everyWorkspace)),
    within: (workspaceId: string): Orm => drizzle(poolWithin(requests, workspaceId)),
    script: async (text) => {
      await service.query(text);
    },
    session: (work) => withinSession(service, (client) => drizzle(client), work),
    connections: () => ({
      open: total((pool) => pool.totalCount),
      idle: total((pool) => pool.idleCount),
      waiting: total((pool) => pool.waitingCount),
    }),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}

function openPool(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: 10_000 });
  // A dropped idle connection is not a fault of any request; the pool opens another.
  pool.on('error', () => {});
  return pool;
}
