// Embedded Postgres: the default where nothing is installed. `dataDir` absent keeps it in memory.

import { PGlite } from '@electric-sql/pglite';
import { drizzle } from 'drizzle-orm/pglite';
import type { Database } from './database.ts';

export async function openPglite(
  options: { dataDir?: string; loadDataDir?: Blob } = {},
): Promise<Database & { client: PGlite }> {
  const client = await PGlite.create(options);
  const orm = drizzle(client);
  const script = async (text: string) => {
    await client.exec(text);
  };
  return {
    kind: 'pglite',
    orm,
    // One connection, owned by the one process that has the folder: no second wall to build.
    within: () => orm,
    script,
    session: (work) => work({ orm, script }),
    close: () => client.close(),
    client,
  };
}
