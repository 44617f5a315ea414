// Whether the database answers, and has the tables of this version of the service.

import type { Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { ping } from '../store/database.ts';
import { schemaIsCurrent } from '../store/migrations.ts';

export async function checkHealth(deps: Deps) {
  await answered(ping(deps.database.orm));
  await requireMigrated(deps);
  return { status: 'ok' as const, version: deps.version, database: deps.database.kind };
}

const migrated = new WeakSet<object>();

/**
 * Throws `unavailable` where the database does not answer or lacks tables of this version: where
 * the service does not migrate itself, a new version may be there before its tables. Asked until it
 * is so, then never again in this process.
 */
export async function requireMigrated(deps: Deps): Promise<void> {
  if (migrated.has(deps.process)) return;
  if (!(await answered(schemaIsCurrent(deps.database.orm)))) {
    throw new ProblemError(
      'unavailable',
      'The database lacks tables of this version of the service; its operator has to apply the migrations.',
    );
  }
  migrated.add(deps.process);
}

async function answered<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (cause) {
    throw new ProblemError('unavailable', 'The database does not answer; try again in a moment.', {
      cause,
    });
  }
}
