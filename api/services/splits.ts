// Splits: nnU-Net's splits_final.json as it is, checked against the cases of the draft.

import {
  type SplitAnswer,
  type SplitId,
  type SplitStream,
  splitLimits,
} from '../contract/splits.ts';
import type { Actor, Deps } from '../deps.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import { listCaseColumnPages } from '../store/cases.ts';
import { type FoldRow, findFold, insertSplit, requireSplit } from '../store/splits.ts';
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
  input: { dataset: string; number: number; split: string; folds: SplitStream },
): Promise<SplitAnswer> {
  const { id: datasetId, subjectAttribute } = await requireDataset(deps, actor, input.dataset);
  const { number, split } = input;
  await requireVersion(deps, { datasetId, number }, 'draft');
  const ordinals = await ordinalsOf(deps, { datasetId, version: number });
  const read = newFolds(ordinals);
  let next = await input.folds.next();
  while (!next.done) {
    for (const one of next.value) read.add(one);
    next = await input.folds.next();
  }
  const { stored, faults } = read.closed(next.value);
  refuse(faults);
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

/**
 * A split as nnU-Net's splits_final.json, ids in the order they were put in, as text in parts.
 * Throws `not-found` where the version has no such split.
 */
export async function readSplit(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; number: number; split: string },
): Promise<AsyncGenerator<string>> {
  const { id: datasetId } = await requireDataset(deps, actor, input.dataset);
  const { number: version, split } = input;
  await requireVersion(deps, { datasetId, number: version });
  const folds = await requireSplit(deps.database.orm, { datasetId, version, split });
  const ids: string[] = [];
  for (const [id, ordinal] of await ordinalsOf(deps, { datasetId, version })) ids[ordinal] = id;
  return splitTexts(deps, { datasetId, version, split, folds }, ids);
}

async function* splitTexts(
  deps: Deps,
  { folds, ...key }: { datasetId: string; version: number; split: string; folds: number },
  ids: string[],
): AsyncGenerator<string> {
  const listOf = (ordinals: Int32Array) =>
    JSON.stringify(Array.from(ordinals, (ordinal) => ids[ordinal]));
  for (let fold = 0; fold < folds; fold++) {
    const { train, val } = await findFold(deps.database.orm, { ...key, fold });
    yield `${fold === 0 ? '[' : ',\n'}{"train":${listOf(train)},"val":${listOf(val)}}`;
  }
  yield ']\n';
}

function refuse(faults: InputFault[]): void {
  if (faults.length === 0) return;
  throw new ProblemError(
    'unprocessable',
    `The split was not stored: ${faults[0].pointer}: ${faults[0].detail}.`,
    { errors: faults },
  );
}

async function ordinalsOf(
  deps: Deps,
  key: { datasetId: string; version: number },
): Promise<Map<string, number>> {
  const ordinals = new Map<string, number>();
  for await (const page of listCaseColumnPages(deps.database.orm, { ...key, names: [] })) {
    for (const { caseId, ordinal } of page) ordinals.set(caseId, ordinal);
  }
  return ordinals;
}

/** A fold while it is read. `seen` says by ordinal where a case stood: 1 train, 2 val. */
type OpenFold = { train: number[]; val: number[]; seen: Uint8Array };

const markOf = { train: 1, val: 2 };
const sideOf = ['', 'train', 'val'];

/** Folds as ordinals, filled id by id; an id that does not fit is a fault and not taken. */
function newFolds(ordinals: Map<string, number>) {
  let size = 0;
  for (const ordinal of ordinals.values()) size = Math.max(size, ordinal + 1);
  const open: OpenFold[] = [];
  const faults: InputFault[] = [];
  const add = ({ fold, side, place, id }: SplitId) => {
    open[fold] ??= { train: [], val: [], seen: new Uint8Array(size) };
    const { [side]: members, seen } = open[fold];
    const ordinal = ordinals.get(id);
    const detail =
      ordinal === undefined
        ? `"${id}" is not a case of this version`
        : seen[ordinal] > 0
          ? `case "${id}" stands in fold ${fold} already, on its ${sideOf[seen[ordinal]]} side`
          : null;
    if (detail !== null) {
      if (faults.length < maxFaults) {
        faults.push({ pointer: `/${fold}/${side}/${place}`, caseId: id, detail });
      }
      return;
    }
    seen[ordinal as number] = markOf[side];
    members.push(ordinal as number);
  };
  const closed = (count: number) => {
    if (count < 1 || count > splitLimits.folds) {
      const detail = `a split has at least one fold and at most ${splitLimits.folds}`;
      faults.unshift({ pointer: '', detail });
    }
    const stored: FoldRow[] = [];
    for (let fold = 0; fold < Math.min(count, splitLimits.folds); fold++) {
      const { train = [], val = [] } = open[fold] ?? {};
      if (faults.length === 0) faults.push(...emptySides(fold, { train, val }));
      stored.push({ fold, train: Int32Array.from(train), val: Int32Array.from(val) });
    }
    return { stored, faults };
  };
  return { add, closed };
}

function emptySides(fold: number, sides: { train: number[]; val: number[] }): InputFault[] {
  return (['train', 'val'] as const)
    .filter((side) => sides[side].length === 0)
    .map((side) => ({
      pointer: `/${fold}/${side}`,
      detail: `fold ${fold} has no cases on its ${side} side`,
    }));
}
