// Withdrawn cases of a snapshot that is to be launched: refused by name, unless they are accepted.

import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { type AcceptedWithdrawn, listWithdrawnOfSnapshot } from '../../store/withdrawals.ts';

/** A refusal names this many cases, and the count of all. */
const namedCases = 20;

/**
 * The withdrawn cases that a launch of the snapshot takes along, for its audit entry. Throws
 * `conflict` naming them where there are some and they are not accepted.
 */
export async function requireNoWithdrawn(
  deps: Deps,
  snapshot: { id: string; datasetId: string },
  accepted = false,
): Promise<AcceptedWithdrawn> {
  const key = { datasetId: snapshot.datasetId, snapshotId: snapshot.id };
  const ids = await listWithdrawnOfSnapshot(deps.database.orm, key);
  if (ids.length === 0 || accepted) return { ...key, ids };
  const named = ids.slice(0, namedCases);
  const more = ids.length > named.length ? ` and ${ids.length - named.length} more` : '';
  throw new ProblemError(
    'conflict',
    `The snapshot holds ${ids.length} withdrawn ${ids.length === 1 ? 'case' : 'cases'}: ${named.join(', ')}${more}. Freeze it again to leave them out, or launch with acceptWithdrawn: true and a reason.`,
    { errors: named.map((caseId) => ({ caseId, detail: 'withdrawn' })) },
  );
}

/** What the audit entry of a launch says of them: nothing where there are none. */
export function withdrawnDetail({ ids }: AcceptedWithdrawn): { acceptedWithdrawn?: string[] } {
  return ids.length === 0 ? {} : { acceptedWithdrawn: ids };
}
