// What changed: each fold's snapshot beside the one before it, which the alias stood at until its
// last move, or which the step names.

import type { Answer } from '../../api/contract/client.ts';
import type { SnapshotDiff } from '../../api/contract/diffs.ts';
import type { Job } from '../../api/contract/jobs.ts';
import type { Snapshot } from '../../api/contract/snapshots.ts';
import { isFailure } from './failure.ts';
import type { Inputs } from './inputs.ts';
import type { Service } from './service.ts';

type Alias = Answer<'GET /v1/datasets/{dataset}/aliases/{alias}'>;

/** A fold, its snapshot, and what that is compared with; a note where it is with nothing. */
export type Fold = {
  fold: string;
  snapshot: Snapshot;
  comparison: { against: string; diff: SnapshotDiff } | { note: string };
};

type Asked = Pick<Inputs, 'source' | 'compareTo'>;

/** The folds of a step; of jobs, as they were launched. */
export async function foldsOf(
  service: Service,
  asked: Asked,
  jobs: readonly Job[],
): Promise<Fold[]> {
  const alias = await aliasOf(service, asked.source);
  const keys = jobs.length > 0 ? jobs.map(({ snapshot }) => snapshot.digest) : keysOf(asked, alias);
  const number = jobs[0]?.alias?.number ?? alias?.number ?? 0;
  return await Promise.all(
    keys.map(async (key) => {
      const snapshot = await service.ask('GET /v1/snapshots/{snapshot}', {
        path: { snapshot: key },
      });
      const fold = String(snapshot.header.fold);
      const before = baseOf(asked, { fold, alias, number, snapshot });
      return { fold, snapshot, comparison: await comparisonOf(service, before, snapshot.digest) };
    }),
  );
}

async function aliasOf(service: Service, source: Inputs['source']): Promise<Alias | null> {
  const named = 'alias' in source ? source : partsOf(source.snapshot);
  if (named === null) return null;
  const path = { dataset: named.dataset, alias: named.alias };
  return await service.ask('GET /v1/datasets/{dataset}/aliases/{alias}', { path });
}

function partsOf(key: string): { dataset: string; alias: string } | null {
  const [, dataset, alias] = /^([^@]+)@([^@:]+)(?::[^@:]+)?$/.exec(key) ?? [];
  return dataset === undefined ? null : { dataset, alias };
}

function keysOf({ source }: Asked, alias: Alias | null): string[] {
  if ('snapshot' in source) return [source.snapshot];
  const standing = alias?.snapshots ?? {};
  const folds = source.folds?.map(String) ?? Object.keys(standing);
  return folds.flatMap((fold) => standing[fold]?.digest ?? []);
}

type Standing = { fold: string; alias: Alias | null; number: number; snapshot: Snapshot };

/** What to compare with, or why there is nothing. */
export function baseOf(
  { compareTo }: Pick<Asked, 'compareTo'>,
  { fold, alias, number, snapshot }: Standing,
): { key: string; against: string } | { note: string } {
  if (compareTo !== null) {
    const key = /^[^@]+@[^@:]+$/.test(compareTo) ? `${compareTo}:${fold}` : compareTo;
    return { key, against: key };
  }
  if (alias === null) {
    return { note: 'not launched from an alias: compare-to names what to compare with' };
  }
  const earlier = alias.history
    .filter((move) => move.number < number && move.snapshots[fold] !== undefined)
    .filter((move) => move.snapshots[fold].digest !== snapshot.digest)
    .at(-1);
  if (earlier === undefined) return { note: `the first snapshot of ${alias.name} for this fold` };
  return {
    key: earlier.snapshots[fold].digest,
    against: `${alias.name} at move ${earlier.number}`,
  };
}

async function comparisonOf(
  service: Service,
  before: ReturnType<typeof baseOf>,
  digest: string,
): Promise<Fold['comparison']> {
  if ('note' in before) return before;
  const path = { a: before.key, b: digest };
  try {
    const diff = await service.ask('GET /v1/snapshots/{a}/diff/{b}', { path });
    return { against: before.against, diff };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { note: `not compared with ${before.against}: ${error.message}` };
  }
}
