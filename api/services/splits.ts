// Splits: nnU-Net's splits_final.json as it is, checked against the cases of the draft.

import type { SplitAnswer, SplitFolds } from '../contract/splits.ts';
import type { Actor, Deps } from '../deps.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import { findOrdinals } from '../store/cases.ts';
import { type FoldRow, insertSplit } from '../store/splits.ts';
import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';
import { readSubjects, subjectFaults } from './subjects.ts';
import { requireVersion } from './versions.ts';

const maxFaults = 100;

/**
 * Stores a split in a draft. Throws `unprocessable` naming ids that are no cases, ids twice on a
 * side or on both sides of a fold, empty sides, and subjects on both sides; then nothing is stored.
 */
export async function putSplit(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; number: number; split: string; folds: SplitFolds },
): Promise<SplitAnswer> {
  const { id: datasetId, subjectAttribute } = await requireDataset(deps, actor, input.dataset);
  const { number, split, folds } = input;
  await requireVersion(deps, { datasetId, number }, 'draft');
  const ids = new Set(folds.flatMap((fold) => [...fold.train, ...fold.val]));
  const ordinals = await findOrdinals(deps.database.orm, {
    datasetId,
    version: number,
    ids: [...ids],
  });
  refuse(folds.flatMap((fold, k) => foldFaults(fold, k, ordinals)).slice(0, maxFaults));
  const stored = folds.map(
    ({ train, val }, fold): FoldRow => ({
      fold,
      train: Int32Array.from(train, (id) => ordinals.get(id) as number),
      val: Int32Array.from(val, (id) => ordinals.get(id) as number),
    }),
  );
  if (subjectAttribute !== null) {
    const key = { datasetId, version: number, attribute: subjectAttribute };
    const subjects = await readSubjects(deps.database.orm, key);
    const divided = { ...key, split, folds: stored, subjects, under: '', limit: maxFaults };
    refuse(await subjectFaults(deps.database.orm, divided));
  }
  const sizes = stored.map(({ fold, train, val }) => ({
    fold,
    train: train.length,
    val: val.length,
  }));
  const entry = entryOf(deps, actor, {
    action: 'split.put',
    subject: `dataset/${datasetId}/version/${number}`,
    detail: { split, folds: sizes },
  });
  const key = { datasetId, version: number, split, folds: stored };
  if (!(await insertSplit(deps.database.orm, key, entry))) {
    throw new ProblemError('conflict', `Version ${number} is no draft any more.`);
  }
  return { name: split, folds: sizes };
}

function refuse(faults: InputFault[]): void {
  if (faults.length === 0) return;
  throw new ProblemError(
    'unprocessable',
    `The split was not stored: ${faults[0].pointer}: ${faults[0].detail}.`,
    { errors: faults },
  );
}

function foldFaults(
  fold: SplitFolds[number],
  k: number,
  ordinals: Map<string, number>,
): InputFault[] {
  const faults: InputFault[] = [];
  const sideOf = new Map<string, string>();
  for (const side of ['train', 'val'] as const) {
    if (fold[side].length === 0) {
      faults.push({
        pointer: `/${k}/${side}`,
        detail: `fold ${k} has no cases on its ${side} side`,
      });
    }
    fold[side].forEach((id, place) => {
      const before = sideOf.get(id);
      const detail = !ordinals.has(id)
        ? `"${id}" is not a case of this version`
        : before !== undefined
          ? `case "${id}" stands in fold ${k} already, on its ${before} side`
          : null;
      if (detail !== null) faults.push({ pointer: `/${k}/${side}/${place}`, caseId: id, detail });
      sideOf.set(id, side);
    });
  }
  return faults;
}
