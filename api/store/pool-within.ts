// A pool whose connections say for which workspace they work before they are handed out: that is
// what row-level security (migration 0004) goes by.

import type { Pool, PoolClient, QueryConfig } from 'pg';
import type { Orm, Session } from './database.ts';

/** No statement of the service takes so long; a request has a little more for all of its own. */
const longestStatement = '110s';

const workspaceOf = new WeakMap<PoolClient, string>();

/**
 * The same pool within one workspace. The setting stays on a connection, so that it is sent only
 * when the next user is of another workspace; a pooler in between must keep sessions.
 */
export function poolWithin(pool: Pool, workspaceId: string): Pool {
  const connect = async () => {
    const client = await pool.connect();
    if (workspaceOf.get(client) === workspaceId) return client;
    try {
      await client.query(
        "select set_config('counterweight.workspace', $1, false), set_config('statement_timeout', $2, false)",
        [workspaceId, longestStatement],
      );
    } catch (cause) {
      client.release(true);
      throw cause;
    }
    workspaceOf.set(client, workspaceId);
    return client;
  };
  const query = async (text: QueryConfig, values?: unknown[]) => {
    const client = await connect();
    try {
      return await client.query(text, values);
    } finally {
      client.release();
    }
  };
  return Object.assign(Object.create(pool) as Pool, { connect, query });
}

/** Work on one connection; one that failed is not used again. */
export async function withinSession<Value>(
  pool: Pool,
  ormOf: (client: PoolClient) => Orm,
  work: (session: Session) => Promise<Value>,
): Promise<Value> {
  const client = await pool.connect();
  // A connection that breaks fails the next query; nobody else listens for it here.
  const broken = () => {};
  client.on('error', broken);
  const script = async (text: string) => {
    await client.query(text);
  };
  try {
    const value = await work({ orm: ormOf(client), script });
    client.release();
    return value;
  } catch (cause) {
    client.release(true);
    throw cause;
  } finally {
    client.off('error', broken);
  }
}
