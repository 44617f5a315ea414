// What a draft is when it is committed: its digest and its number of cases, after every case and
// split was looked at once more. Cases and folds pass through a page at a time.

import canonicalize from 'canonicalize';
import type { AttributeMap } from '../contract/attributes.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import { listCasePages } from '../store/cases.ts';
import type { Orm } from '../store/database.ts';
import { countFolds, findFold, findStrayOrdinals } from '../store/splits.ts';
import { type RunningSha256, runningSha256 } from './running-sha256.ts';
import { newSubjects, type Subjects, subjectFaults } from './subjects.ts';

const maxFaults = 100;

type Draft = {
  datasetId: string;
  number: number;
  attributes: AttributeMap;
  subjectAttribute: string | null;
};

/** What was read of the cases: ids by ordinal, and the subject of each. */
type Read = { ids: string[]; caseCount: number; subjects: Subjects; faults: InputFault[] };

/**
 * The version digest: SHA-256 over the canonical JSON of the attribute schema, then of every case
 * in id order, then of every fold of every split by name, each followed by a newline. Throws
 * `unprocessable` naming cases and folds that do not hold.
 */
export async function describeDraft(
  tx: Orm,
  draft: Draft,
): Promise<{ digest: string; caseCount: number }> {
  const sha256 = runningSha256();
  sha256.add(`${canonicalize(draft.attributes)}\n`);
  const read = await readCases(tx, draft, sha256);
  const key = { datasetId: draft.datasetId, version: draft.number };
  if (read.caseCount === 0) {
    throw new ProblemError(
      'unprocessable',
      `Version ${draft.number} has no cases; upload some first.`,
    );
  }
  for (const stray of await findStrayOrdinals(tx, key)) {
    const detail = `split "${stray.split}", fold ${stray.fold} names this case, which the version no longer has`;
    read.faults.push({ caseId: stray.caseId, detail });
  }
  refuse(read.faults);
  for (const [split, folds] of Object.entries(await countFolds(tx, key))) {
    for (let fold = 0; fold < folds; fold++)
      await readFold(tx, { draft, split, fold, read }, sha256);
  }
  refuse(read.faults);
  return { digest: sha256.digest(), caseCount: read.caseCount };
}

async function readCases(tx: Orm, draft: Draft, sha256: RunningSha256): Promise<Read> {
  const { datasetId, number, attributes, subjectAttribute } = draft;
  const required = Object.keys(attributes).filter((name) => attributes[name].required);
  const read: Read = { ids: [], caseCount: 0, subjects: newSubjects(), faults: [] };
  for await (const page of listCasePages(tx, { datasetId, version: number })) {
    read.caseCount += page.length;
    for (const { caseId, ordinal, attributes: values, files } of page) {
      read.ids[ordinal] = caseId;
      if (subjectAttribute !== null) read.subjects.add(ordinal, values[subjectAttribute]);
      sha256.add(`${canonicalize({ id: caseId, attributes: values, files })}\n`);
      const missing = required.find((name) => values[name] === undefined);
      if (missing !== undefined && read.faults.length < maxFaults) {
        read.faults.push({ caseId, detail: `required attribute "${missing}" is missing` });
      }
    }
  }
  return read;
}

async function readFold(
  tx: Orm,
  { draft, split, fold, read }: { draft: Draft; split: string; fold: number; read: Read },
  sha256: RunningSha256,
): Promise<void> {
  const { datasetId, number: version, subjectAttribute } = draft;
  const sides = await findFold(tx, { datasetId, version, split, fold });
  if (subjectAttribute !== null) {
    const key = { datasetId, version, attribute: subjectAttribute, split, folds: [sides] };
    const { subjects } = read;
    const under = `/splits/${split}`;
    read.faults.push(...(await subjectFaults(tx, { ...key, subjects, under, limit: maxFaults })));
  }
  // The canonical JSON of {fold, split, train, val}, written in pieces: a side may be long.
  sha256.add(`{"fold":${fold},"split":${JSON.stringify(split)}`);
  for (const side of ['train', 'val'] as const) {
    sha256.add(`,"${side}":[`);
    sides[side].forEach((ordinal, k) => {
      sha256.add(`${k === 0 ? '' : ','}${JSON.stringify(read.ids[ordinal])}`);
    });
    sha256.add(']');
  }
  sha256.add('}\n');
}

function refuse(faults: InputFault[]): void {
  if (faults.length === 0) return;
  throw new ProblemError(
    'unprocessable',
    `The version cannot be committed: case ${faults[0].caseId}: ${faults[0].detail}.`,
    { errors: faults.slice(0, maxFaults) },
  );
}
