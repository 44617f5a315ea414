// Postgres through `pg`, for the Node deployment.

import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { Database } from './database.ts';

export function openPostgres(options: { url: string; connections?: number }): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections ?? 10,
    connectionTimeoutMillis: 10_000,
  });
  // A dropped idle connection is not a fault of any request; the pool opens another.
  pool.on('error', () => {});
  return {
    kind: 'postgres',
    orm: drizzle(pool),
    script: async (text) => {
      await pool.query(text);
    },
    close: () => pool.end(),
  };
}
