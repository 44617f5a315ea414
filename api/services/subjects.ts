// Cases of one subject (a patient scanned twice) on both sides of a fold: a model would be tested
// on somebody it has seen. Subjects are numbered, and folds are checked over typed arrays.

import type { InputFault } from '../errors.ts';
import { listCaseColumnPages, listCaseIds } from '../store/cases.ts';
import type { Orm } from '../store/database.ts';
import type { FoldRow } from '../store/splits.ts';

const shownCases = 5;

/** The subject of every case of a version, by the case's ordinal. */
export type Subjects = {
  add: (ordinal: number, subject: unknown) => void;
  /** Number of the subject of a case; -1 where it has none, and is a subject of its own. */
  of: (ordinal: number) => number;
  names: string[];
};

export function newSubjects(): Subjects {
  const numbers = new Map<string, number>();
  const names: string[] = [];
  let byOrdinal = new Int32Array(1024).fill(-1);
  return {
    add: (ordinal, subject) => {
      if (typeof subject !== 'string') return;
      let number = numbers.get(subject);
      if (number === undefined) {
        number = names.push(subject) - 1;
        numbers.set(subject, number);
      }
      if (ordinal >= byOrdinal.length) {
        const larger = new Int32Array(2 * ordinal).fill(-1);
        larger.set(byOrdinal);
        byOrdinal = larger;
      }
      byOrdinal[ordinal] = number;
    },
    of: (ordinal) => byOrdinal[ordinal] ?? -1,
    names,
  };
}

/** The subjects of a version's cases, read a page at a time. */
export async function readSubjects(
  orm: Orm,
  { attribute, ...key }: { datasetId: string; version: number; attribute: string },
): Promise<Subjects> {
  const subjects = newSubjects();
  for await (const page of listCaseColumnPages(orm, { ...key, names: [attribute] })) {
    for (const { ordinal, values } of page) subjects.add(ordinal, values[0]);
  }
  return subjects;
}

type Divided = { fold: number; subject: number; train: number[]; val: number[] };

/** Every subject that stands on both sides of a fold, with the ordinals of its cases there. */
export function dividedSubjects(folds: FoldRow[], subjects: Subjects, limit: number): Divided[] {
  const divided: Divided[] = [];
  for (const { fold, train, val } of folds) {
    const trained = new Uint8Array(subjects.names.length);
    for (const ordinal of train) {
      const subject = subjects.of(ordinal);
      if (subject >= 0) trained[subject] = 1;
    }
    const found = new Map<number, Divided>();
    for (const ordinal of val) {
      const subject = subjects.of(ordinal);
      if (subject < 0 || trained[subject] === 0) continue;
      const known = found.get(subject);
      if (known !== undefined) known.val.push(ordinal);
      else if (divided.length + found.size < limit) {
        found.set(subject, { fold, subject, train: [], val: [ordinal] });
      }
    }
    if (found.size === 0) continue;
    for (const ordinal of train) found.get(subjects.of(ordinal))?.train.push(ordinal);
    divided.push(...found.values());
  }
  return divided;
}

/**
 * A fault for each subject on both sides of a fold, naming it and its cases on each side (the
 * first five of a side); at most `limit`.
 */
export async function subjectFaults(
  orm: Orm,
  input: {
    datasetId: string;
    version: number;
    attribute: string;
    split: string;
    folds: FoldRow[];
    subjects: Subjects;
    /** What the pointer to a fold begins with. */
    under: string;
    limit: number;
  },
): Promise<InputFault[]> {
  const { attribute, split, subjects } = input;
  const divided = dividedSubjects(input.folds, subjects, input.limit);
  const ordinals = [...new Set(divided.flatMap(({ train, val }) => [train, val].flatMap(first)))];
  const ids = await listCaseIds(orm, { ...input, ordinals });
  const idOf = new Map(ordinals.map((ordinal, k) => [ordinal, ids[k]]));
  const named = (side: number[]) => {
    const more = side.length > shownCases ? ` and ${side.length - shownCases} more` : '';
    return `${first(side)
      .map((ordinal) => `"${idOf.get(ordinal)}"`)
      .join(', ')}${more}`;
  };
  return divided.map(({ fold, subject, train, val }) => ({
    pointer: `${input.under}/${fold}`,
    caseId: idOf.get(val[0]),
    detail: `${attribute} "${subjects.names[subject]}" is on both sides of fold ${fold} of split "${split}": ${named(train)} to train, ${named(val)} to validate; put all cases of a subject on one side`,
  }));
}

const first = (side: number[]) => side.slice(0, shownCases);
