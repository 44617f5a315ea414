// Aliases: where one stands, and moving it. A protected one moves only onto snapshots that somebody
// else approved: neither who moves it nor who froze them.

import type { Alias, AliasMove, PutAlias } from '../contract/aliases.ts';
import type { Actor, Deps } from '../deps.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import {
  type AliasMoveRow,
  findAlias,
  listAliasMoves,
  listAliasNames,
  moveAlias,
  type Vouching,
} from '../store/aliases.ts';
import type { DatasetRow } from '../store/datasets.ts';
import { listSnapshotNames } from '../store/jobs.ts';
import type { SnapshotRow } from '../store/snapshots.ts';
import { listWithdrawnOfSnapshot } from '../store/withdrawals.ts';
import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';
import { requireSnapshot } from './snapshots/read.ts';

/**
 * Puts an alias on one snapshot per fold; `created` where there was none of that name. Where it
 * stands there already nothing is stored. Throws `unprocessable` for a snapshot of another dataset
 * or fold, `conflict` naming the folds without an approval, or where it moved meanwhile.
 */
export async function putAlias(
  deps: Deps,
  actor: Actor,
  input: PutAlias & { dataset: string; alias: string },
): Promise<{ alias: Alias; created: boolean }> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  const before = await findAlias(deps.database.orm, { datasetId: dataset.id, name: input.alias });
  const rows = await snapshotsOf(deps, actor, { dataset, snapshots: input.snapshots });
  const ids = Object.fromEntries(Object.entries(rows).map(([fold, { id }]) => [fold, id]));
  const guarded = input.protected ?? before?.protected ?? false;
  const key = { dataset, name: input.alias };
  if (before !== undefined && before.protected === guarded && sameFolds(before.snapshots, ids)) {
    return { alias: await viewOf(deps, key), created: false };
  }
  requireExpected(input, before);
  const row = {
    workspaceId: actor.workspaceId,
    datasetId: dataset.id,
    name: input.alias,
    number: (before?.number ?? 0) + 1,
    snapshots: ids,
    protected: guarded,
    reason: input.reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  await storeMove(deps, actor, { dataset, before, row, rows });
  return { alias: await viewOf(deps, key), created: before === undefined };
}

async function storeMove(
  deps: Deps,
  actor: Actor,
  made: {
    dataset: DatasetRow;
    before: AliasMoveRow | undefined;
    row: Omit<AliasMoveRow, 'approvals'>;
    rows: Record<string, SnapshotRow>;
  },
): Promise<void> {
  const { dataset, before, row, rows } = made;
  const to = Object.fromEntries(Object.entries(rows).map(([fold, { digest }]) => [fold, digest]));
  const from = before === undefined ? null : await digestsOf(deps, before.snapshots);
  const needed = row.protected || before?.protected === true;
  await moveAlias(
    deps.database.orm,
    { row, digests: Object.values(to) },
    (vouching) => (needed ? requireApprovals({ snapshots: to, mover: actor.name }, vouching) : []),
    (approvals) =>
      entryOf(deps, actor, {
        action: 'alias.moved',
        subject: `alias/${dataset.id}/${row.name}`,
        reason: row.reason,
        detail: {
          dataset: dataset.name,
          name: row.name,
          number: row.number,
          from,
          to,
          protected: row.protected,
          approvals,
        },
        at: row.createdAt,
      }),
  );
}

/**
 * Ids of the approvals that let `mover` put a protected alias on these digests (by fold): standing,
 * of the very digest, by neither the mover nor an author of it. Throws `conflict` naming the folds
 * that have none.
 */
export function requireApprovals(
  { snapshots, mover }: { snapshots: Record<string, string>; mover: string },
  { approvals, authors }: Vouching,
): string[] {
  const counting = (digest: string) =>
    approvals.filter(
      ({ snapshotDigest, createdBy }) =>
        snapshotDigest === digest &&
        createdBy !== mover &&
        !authors.some((one) => one.digest === digest && one.author === createdBy),
    );
  const without = Object.entries(snapshots).filter(([, digest]) => counting(digest).length === 0);
  if (without.length > 0) {
    const folds = without.map(([fold]) => fold).join(', ');
    throw new ProblemError(
      'conflict',
      `This alias is protected, and nothing moved: fold ${folds} has no standing approval by somebody other than ${mover} and the author of the snapshot. POST /v1/snapshots/{snapshot}/approvals gives one.`,
      {
        errors: without.map(([fold, digest]) => ({
          pointer: `/snapshots/${fold}`,
          detail: `${digest} is not approved by another person`,
        })),
      },
    );
  }
  const ids = Object.values(snapshots).flatMap((digest) => counting(digest).map(({ id }) => id));
  return [...new Set(ids)];
}

function requireExpected(
  { alias, expected }: { alias: string; expected?: number },
  now?: AliasMoveRow,
) {
  const number = now?.number ?? 0;
  if (expected === undefined || expected === number) return;
  throw new ProblemError(
    'conflict',
    `Alias "${alias}" ${number === 0 ? 'is not there yet' : `stands at number ${number}`}, not at ${expected}. Read it, then move it again.`,
  );
}

function sameFolds(a: Record<string, string>, b: Record<string, string>): boolean {
  const folds = Object.keys(a);
  return folds.length === Object.keys(b).length && folds.every((fold) => a[fold] === b[fold]);
}

async function snapshotsOf(
  deps: Deps,
  actor: Actor,
  { dataset, snapshots }: { dataset: DatasetRow; snapshots: Record<string, string> },
): Promise<Record<string, SnapshotRow>> {
  const errors: InputFault[] = [];
  const found: Record<string, SnapshotRow> = {};
  for (const [fold, key] of Object.entries(snapshots)) {
    const pointer = `/snapshots/${fold}`;
    try {
      const row = await requireSnapshot(deps, actor, key);
      found[fold] = row;
      if (row.datasetId !== dataset.id) {
        const detail = `a snapshot of dataset "${row.header.dataset}", not of "${dataset.name}"`;
        errors.push({ pointer, detail });
      } else if (row.fold !== fold) {
        errors.push({ pointer, detail: `a snapshot of fold ${row.fold}, not of fold ${fold}` });
      }
    } catch (error) {
      if (!(error instanceof ProblemError) || error.kind === 'internal') throw error;
      errors.push({ pointer, detail: error.detail });
    }
  }
  if (errors.length === 0) return found;
  const [{ pointer, detail }] = errors;
  throw new ProblemError('unprocessable', `The alias cannot stand there: ${pointer}: ${detail}`, {
    errors,
  });
}

async function digestsOf(deps: Deps, snapshots: Record<string, string>) {
  const names = await listSnapshotNames(deps.database.orm, Object.values(snapshots));
  return Object.fromEntries(
    Object.entries(snapshots).map(([fold, id]) => [fold, names.get(id)?.digest ?? '']),
  );
}

/** An alias with its whole history; throws `not-found`. */
export async function getAlias(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; alias: string },
): Promise<Alias> {
  const { name } = await requireAlias(deps, actor, input);
  return await viewOf(deps, { dataset: await requireDataset(deps, actor, input.dataset), name });
}

/** Where an alias stands; throws `not-found`. */
export async function requireAlias(
  deps: Deps,
  actor: Actor,
  { dataset: key, alias: name }: { dataset: string; alias: string },
): Promise<AliasMoveRow> {
  const dataset = await requireDataset(deps, actor, key);
  const move = await findAlias(deps.database.orm, { datasetId: dataset.id, name });
  if (move !== undefined) return move;
  throw new ProblemError('not-found', `Dataset "${dataset.name}" has no alias "${name}".`);
}

/** Aliases of a dataset by name, each with its history. */
export async function pageOfAliases(
  deps: Deps,
  actor: Actor,
  { dataset: key, after, limit }: { dataset: string; after?: string; limit: number },
): Promise<Alias[]> {
  const dataset = await requireDataset(deps, actor, key);
  const names = await listAliasNames(deps.database.orm, { datasetId: dataset.id, after, limit });
  return await viewsOf(deps, { dataset, names });
}

async function viewOf(deps: Deps, { dataset, name }: { dataset: DatasetRow; name: string }) {
  return (await viewsOf(deps, { dataset, names: [name] }))[0];
}

async function viewsOf(
  deps: Deps,
  { dataset, names }: { dataset: DatasetRow; names: string[] },
): Promise<Alias[]> {
  const orm = deps.database.orm;
  if (names.length === 0) return [];
  const moves = await listAliasMoves(orm, { datasetId: dataset.id, names });
  const ids = [...new Set(moves.flatMap(({ snapshots }) => Object.values(snapshots)))];
  const known = await listSnapshotNames(orm, ids);
  const views: Alias[] = [];
  for (const name of names) {
    const own = moves.filter((move) => move.name === name);
    const history = own.map((move) => moveView(move, known));
    const now = own[own.length - 1];
    views.push({
      name,
      dataset: dataset.name,
      ...history[history.length - 1],
      withdrawn: await withdrawnOf(deps, now),
      history,
    });
  }
  return views;
}

function moveView(row: AliasMoveRow, known: Map<string, { digest: string }>): AliasMove {
  const { number, protected: guarded, approvals, reason, createdBy } = row;
  const snapshots = Object.fromEntries(
    Object.entries(row.snapshots).map(([fold, id]) => [
      fold,
      { id, digest: known.get(id)?.digest ?? '' },
    ]),
  );
  const createdAt = row.createdAt.toISOString();
  return { number, snapshots, protected: guarded, approvals, reason, createdAt, createdBy };
}

/** Withdrawn cases that an alias's snapshots hold, in id order. */
async function withdrawnOf(deps: Deps, { datasetId, snapshots }: AliasMoveRow): Promise<string[]> {
  const found = new Set<string>();
  for (const snapshotId of Object.values(snapshots)) {
    const ids = await listWithdrawnOfSnapshot(deps.database.orm, { datasetId, snapshotId });
    for (const id of ids) found.add(id);
  }
  return [...found].sort();
}
