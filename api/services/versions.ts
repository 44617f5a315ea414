// Dataset versions: open a draft, discard it, commit it. Committing fixes the digest.

import type { OpenVersion, Version } from '../contract/versions.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { countFolds } from '../store/splits.ts';
import {
  type Commit,
  findDraftState,
  findVersion,
  insertDraft,
  listVersions,
  moveDraftToCommitted,
  moveDraftToDiscarded,
  type VersionRow,
} from '../store/versions.ts';

import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';
import { describeDraft } from './version-digest.ts';

function view(row: VersionRow, splits?: Record<string, number>): Version {
  return {
    number: row.number,
    state: row.state,
    base: row.base,
    reason: row.reason,
    digest: row.digest,
    caseCount: row.caseCount,
    ...(splits === undefined ? {} : { splits }),
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    committedAt: row.committedAt?.toISOString() ?? null,
    committedBy: row.committedBy,
  };
}

/** The version, or `not-found`; with `state` given, `conflict` where it is in another state. */
export async function requireVersion(
  deps: Deps,
  key: { datasetId: string; number: number },
  state?: 'draft' | 'committed',
): Promise<VersionRow> {
  const row = await findVersion(deps.database.orm, key);
  if (row === undefined) {
    throw new ProblemError('not-found', `The dataset has no version ${key.number}.`);
  }
  if (state !== undefined && row.state !== state) throw wrongState(key.number, row.state, state);
  return row;
}

function wrongState(number: number, is: string, wanted: string): ProblemError {
  return new ProblemError(
    'conflict',
    wanted === 'draft'
      ? `Version ${number} is ${is} and never changes. Open a new version with base ${number}.`
      : `Version ${number} is ${is}; commit it first.`,
  );
}

/** Opens a draft equal to its base, or empty. Throws `conflict` while another draft is open. */
export async function openVersion(
  deps: Deps,
  actor: Actor,
  { dataset, ...input }: OpenVersion & { dataset: string },
): Promise<Version> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  if (input.base !== undefined) {
    await requireVersion(deps, { datasetId, number: input.base }, 'committed');
  }
  const { nextNumber, draft } = await findDraftState(deps.database.orm, datasetId);
  if (draft !== null) {
    throw new ProblemError(
      'conflict',
      `Version ${draft} is still a draft. Commit it, or discard it with DELETE, before opening another.`,
    );
  }
  const row: VersionRow = {
    datasetId,
    number: nextNumber,
    state: 'draft',
    base: input.base ?? null,
    reason: input.reason,
    attributes: null,
    digest: null,
    caseCount: null,
    createdAt: deps.now(),
    createdBy: actor.name,
    committedAt: null,
    committedBy: null,
  };
  const entry = entryOf(deps, actor, {
    action: 'version.opened',
    subject: `dataset/${datasetId}/version/${nextNumber}`,
    reason: input.reason,
    detail: { base: row.base },
  });
  if (!(await insertDraft(deps.database.orm, row, entry))) {
    throw new ProblemError('conflict', 'Another draft was opened at the same moment.');
  }
  return view(row, await countFolds(deps.database.orm, { datasetId, version: nextNumber }));
}

export async function discardVersion(
  deps: Deps,
  actor: Actor,
  { dataset, number }: { dataset: string; number: number },
): Promise<void> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  await requireVersion(deps, { datasetId, number }, 'draft');
  const entry = entryOf(deps, actor, {
    action: 'version.discarded',
    subject: `dataset/${datasetId}/version/${number}`,
  });
  await moveDraftToDiscarded(deps.database.orm, { datasetId, number }, entry);
}

export async function getVersion(
  deps: Deps,
  actor: Actor,
  { dataset, number }: { dataset: string; number: number },
): Promise<Version> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  const row = await requireVersion(deps, { datasetId, number });
  return view(row, await countFolds(deps.database.orm, { datasetId, version: number }));
}

export async function pageOfVersions(
  deps: Deps,
  actor: Actor,
  { dataset, before, limit }: { dataset: string; before?: number; limit: number },
): Promise<Version[]> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  const found = await listVersions(deps.database.orm, { datasetId, before, limit });
  return found.map((row) => view(row));
}

/** Commits a draft: checks every case and split once more, then fixes the digest. */
export async function commitVersion(
  deps: Deps,
  actor: Actor,
  { dataset, number, reason }: { dataset: string; number: number; reason: string },
): Promise<Version> {
  const {
    id: datasetId,
    attributes,
    subjectAttribute,
  } = await requireDataset(deps, actor, dataset);
  const draft = await requireVersion(deps, { datasetId, number }, 'draft');
  const committed = await moveDraftToCommitted(
    deps.database.orm,
    { datasetId, number },
    async (tx) => {
      const named = { datasetId, number, attributes, subjectAttribute };
      const { digest, caseCount } = await describeDraft(tx, named);
      const commit: Commit = {
        datasetId,
        number,
        attributes,
        digest,
        caseCount,
        committedAt: deps.now(),
        committedBy: actor.name,
      };
      const audit = entryOf(deps, actor, {
        action: 'version.committed',
        subject: `dataset/${datasetId}/version/${number}`,
        reason,
        detail: { digest, caseCount },
      });
      return { commit, audit };
    },
  );
  if (committed === null) throw wrongState(number, 'no draft any more', 'draft');
  const splits = await countFolds(deps.database.orm, { datasetId, version: number });
  return view({ ...draft, ...committed, state: 'committed' }, splits);
}
