// Whether the database answers.

import type { Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { ping } from '../store/database.ts';

export async function checkHealth(deps: Deps) {
  try {
    await ping(deps.database.orm);
  } catch (cause) {
    throw new ProblemError('unavailable', 'The database does not answer; try again in a moment.', {
      cause,
    });
  }
  return { status: 'ok' as const, version: deps.version, database: deps.database.kind };
}
