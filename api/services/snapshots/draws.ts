// Replaying draws: a pure function of snapshot digest, seed, epoch and draws per epoch.

import type { DrawsQuery } from '../../contract/snapshots.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { drawPlan } from '../../weights/draws.ts';
import { ledgerDigest } from '../../weights/ledger.ts';
import { drawTable, requireSnapshot } from './read.ts';

/** The ids of draws `from` ... `from + count - 1` of an epoch's plan, and their ledger digest. */
export async function replayDraws(
  deps: Deps,
  actor: Actor,
  { snapshot, ...query }: DrawsQuery & { snapshot: string },
): Promise<{ ids: string[]; ledgerDigest: string }> {
  const row = await requireSnapshot(deps, actor, snapshot);
  const { digest, ids, drawUnits } = await drawTable(deps, row.id);
  const { seed, epoch, draws } = query;
  const from = query.from ?? 0;
  const count = query.count ?? Math.max(0, draws - from);
  if (from + count > draws) {
    throw new ProblemError(
      'invalid-request',
      `The plan has ${draws} draws; from ${from} there are ${Math.max(0, draws - from)}, not ${count}.`,
    );
  }
  const plan = drawPlan({ digest, drawUnits, seed, epoch, drawsPerEpoch: draws });
  const drawn = Array.from(plan.subarray(from, from + count), (place) => ids[place]);
  return { ids: drawn, ledgerDigest: ledgerDigest(drawn) };
}
