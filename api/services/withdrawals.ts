// Withdrawing a case: no later snapshot holds it, jobs that still draw it are told, and what was
// frozen or trained before stays as it is.

import type { Withdraw, Withdrawal, WithdrawnCase } from '../contract/withdrawals.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { countSnapshotsWith, findCaseOrdinal } from '../store/case-usage.ts';
import {
  findWithdrawal,
  insertWithdrawal,
  listToldOfWithdrawal,
  listWithdrawals,
  type WithdrawalRow,
} from '../store/withdrawals.ts';
import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';

export function withdrawalView(row: WithdrawalRow): Withdrawal {
  const { caseId, reason, createdBy } = row;
  return { caseId, reason, createdAt: row.createdAt.toISOString(), createdBy };
}

/** The ordinal of a case that the dataset has or had in any version; throws `not-found`. */
export async function requireKnownCase(
  deps: Deps,
  { dataset, caseId }: { dataset: { id: string; name: string }; caseId: string },
): Promise<number> {
  const ordinal = await findCaseOrdinal(deps.database.orm, { datasetId: dataset.id, caseId });
  if (ordinal === undefined) {
    throw new ProblemError(
      'not-found',
      `Dataset "${dataset.name}" never had a case "${caseId}". Name it by its id in the case lines.`,
    );
  }
  return ordinal;
}

/**
 * Withdraws a case from every later snapshot. Answers the snapshots that hold it already, and the
 * running jobs that use those. Throws `not-found` for a case that was never there, `conflict` for
 * one that is withdrawn already.
 */
export async function withdrawCase(
  deps: Deps,
  actor: Actor,
  { dataset: key, caseId, reason }: Withdraw & { dataset: string },
): Promise<WithdrawnCase> {
  const dataset = await requireDataset(deps, actor, key);
  const datasetId = dataset.id;
  const ordinal = await requireKnownCase(deps, { dataset, caseId });
  const row: WithdrawalRow = {
    workspaceId: actor.workspaceId,
    datasetId,
    caseId,
    reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  const entry = entryOf(deps, actor, {
    action: 'case.withdrawn',
    subject: `case/${datasetId}/${caseId}`,
    reason,
    detail: { dataset: dataset.name, caseId },
    at: row.createdAt,
  });
  const jobs = await insertWithdrawal(deps.database.orm, row, entry);
  if (jobs === null) throw await withdrawnAlready(deps, row);
  const snapshots = await countSnapshotsWith(deps.database.orm, { datasetId, ordinal });
  return { ...withdrawalView(row), snapshots, jobs };
}

/** A withdrawal with the snapshots that hold its case now, and the jobs that were told of it. */
export async function getWithdrawn(
  deps: Deps,
  actor: Actor,
  { dataset: key, caseId }: { dataset: string; caseId: string },
): Promise<WithdrawnCase> {
  const dataset = await requireDataset(deps, actor, key);
  const ordinal = await requireKnownCase(deps, { dataset, caseId });
  const named = { datasetId: dataset.id, caseId };
  const row = (await findWithdrawal(deps.database.orm, named)) as WithdrawalRow;
  const jobs = await listToldOfWithdrawal(deps.database.orm, named);
  const snapshots = await countSnapshotsWith(deps.database.orm, { ...named, ordinal });
  return { ...withdrawalView(row), snapshots, jobs };
}

async function withdrawnAlready(deps: Deps, key: WithdrawalRow): Promise<ProblemError> {
  const known = (await findWithdrawal(deps.database.orm, key)) ?? key;
  const at = known.createdAt.toISOString();
  return new ProblemError(
    'conflict',
    `Case "${key.caseId}" was withdrawn already, by ${known.createdBy} at ${at}: ${known.reason}`,
  );
}

/** Withdrawals of a dataset in case order. */
export async function pageOfWithdrawals(
  deps: Deps,
  actor: Actor,
  { dataset, after, limit }: { dataset: string; after?: string; limit: number },
): Promise<Withdrawal[]> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  const found = await listWithdrawals(deps.database.orm, { datasetId, after, limit });
  return found.map(withdrawalView);
}
