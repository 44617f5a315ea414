// Postgres through `pg`, for the Node deployment. Every connection says for which workspace it
// works before it is used: that is what row-level security (migration 0004) goes by.

import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { type Database, everyWorkspace, type Orm } from './database.ts';

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
    close: () => pool.end(),
  };
}

const workspaceOf = new WeakMap<pg.PoolClient, string>();

// The same pool, whose connections are set to one workspace as they are handed out. The setting
// stays on a connection, so that it is sent only when the next user is of another workspace.
function poolWithin(pool: pg.Pool, workspaceId: string): pg.Pool {
  const connect = async () => {
    const client = await pool.connect();
    if (workspaceOf.get(client) === workspaceId) return client;
    try {
      await client.query("select set_config('counterweight.workspace', $1, false)", [workspaceId]);
    } catch (cause) {
      client.release(true);
      throw cause;
    }
    workspaceOf.set(client, workspaceId);
    return client;
  };
  const query = async (text: pg.QueryConfig, values?: unknown[]) => {
    const client = await connect();
    try {
      return await client.query(text, values);
    } finally {
      client.release();
    }
  };
  return Object.assign(Object.create(pool) as pg.Pool, { connect, query });
}
