// Neon over WebSocket, for workerd: one Pool per request, never shared between requests.

import { Pool } from '@neondatabase/serverless';
import { drizzle } from 'drizzle-orm/neon-serverless';
import type { Database } from './database.ts';

export function openNeon(options: { url: string }): Database {
  const pool = new Pool({ connectionString: options.url });
  const orm = drizzle(pool);
  return {
    kind: 'neon',
    orm,
    within: () => orm,
    script: async (text) => {
      await pool.query(text);
    },
    close: () => pool.end(),
  };
}
