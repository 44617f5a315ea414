// Neon over WebSocket, for workerd: one Pool per request, never shared between requests. Its pool
// is a `pg` pool with another way to connect.

import { Pool } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-serverless';
import type pg from 'pg';
import { type Database, everyWorkspace, type Orm } from './database.ts';
import { poolWithin, withinSession } from './pool-within.ts';

const drizzled = (client: unknown): Orm => drizzle(client as Pool);

export function openNeon(options: { url: string }): Database {
  const pool = new Pool({ connectionString: options.url });
  // As with pg: a dropped idle connection is not a fault of any request.
  pool.on('error', () => {});
  const within = (workspaceId: string): Orm =>
    drizzle(poolWithin(pool as unknown as pg.Pool, workspaceId) as unknown as Pool);
  return {
    kind: 'neon',
    orm: within(everyWorkspace),
    within,
    script: async (text) => {
      await pool.query(text);
    },
    session: (work) => withinSession(pool as unknown as pg.Pool, drizzled, work),
    close: () => pool.end(),
  };
}
