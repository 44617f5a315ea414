// A migrated PGlite per test file. The first file that asks migrates one and dumps it to a file
// that all others load: half a second instead of three.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMigrations } from '../../api/node.ts';
import { applyMigrations } from '../../api/store/migrations.ts';
import { openPglite } from '../../api/store/open-pglite.ts';

const migrations = readMigrations();
const key = createHash('sha256').update(JSON.stringify(migrations)).digest('hex').slice(0, 16);
const dump = join(tmpdir(), `counterweight-test-database-${key}.tar`);

/** A fresh database with every migration applied, in memory. */
export async function openTestDatabase(): ReturnType<typeof openPglite> {
  if (existsSync(dump)) {
    return await openPglite({ loadDataDir: new Blob([readFileSync(dump)]) });
  }
  const database = await openPglite();
  await applyMigrations(database, migrations);
  const bytes = new Uint8Array(await (await database.client.dumpDataDir('none')).arrayBuffer());
  const partial = `${dump}.${process.pid}`;
  writeFileSync(partial, bytes);
  renameSync(partial, dump);
  return database;
}
