// Neon over WebSocket, for workerd: one Pool per request, never shared between requests. Its pool
// is a `pg` pool with another way to connect.

import { neonConfig, Pool } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-serverless';
import type pg from 'pg';
import { type Database, everyWorkspace, type Orm } from './database.ts';
import { poolWithin, withinSession } from './pool-within.ts';

const drizzled = (client: unknown): Orm => drizzle(client as Pool);

/**
 * Each connection is a WebSocket of its own with several round trips before the first answer, and
 * workerd keeps no more than six at once, the requests to engines among them.
 */
const connections = 2;

/**
 * `proxy` is a WebSocket bridge on this machine (`127.0.0.1:PORT/PATH`) to a Postgres that is no
 * Neon. Throws a sentence that names DATABASE_URL or CW_NEON_PROXY for what cannot be used.
 */
export function openNeon({ url, proxy }: { url: string; proxy?: string }): Database {
  refusePooler(url);
  if (proxy !== undefined) useProxy(proxy);
  const pool = new Pool({ connectionString: url, max: connections });
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

// Neon's pooler hands a server connection on after each transaction, and with it the setting that
// says for which workspace it works: a query would run under the wall of somebody else.
function refusePooler(url: string): void {
  if (!URL.canParse(url)) throw new Error('DATABASE_URL is no address of a Postgres database');
  if (!/^[^.]+-pooler\./.test(new URL(url).hostname)) return;
  throw new Error(
    'DATABASE_URL names the pooler of Neon, which does not keep sessions; take "-pooler" out of its host name',
  );
}

function useProxy(proxy: string): void {
  if (!/^(127\.0\.0\.1|localhost):\d+(\/[\w/-]*)?$/.test(proxy)) {
    throw new Error(
      'CW_NEON_PROXY is not encrypted, so it has to be of this machine: 127.0.0.1:PORT/PATH',
    );
  }
  neonConfig.wsProxy = proxy;
  neonConfig.useSecureWebSocket = false;
  neonConfig.pipelineConnect = false;
  neonConfig.pipelineTLS = false;
}
