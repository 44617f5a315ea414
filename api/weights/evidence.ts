// The leak guard of METHOD.md section 8: attributes that a model made. A model that trained on a
// case must not decide how often that case is drawn in a new snapshot.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import { type CaseTable, type Fault, maxFaults } from './case-table.ts';
import { readsOf } from './rules.ts';

type Evidence = 'outOfFold' | 'inTraining';

function evidenceOf(name: string, attributes: AttributeMap): Evidence | null {
  const origin = attributes[name]?.origin;
  return typeof origin === 'object' ? origin.evidence : null;
}

/** A fault for each case that has in-training evidence which a term or exclusion reads. */
export function evidenceFaults(
  cases: CaseTable,
  input: { attributes: AttributeMap; rules: RuleDocument; allowInTraining?: boolean },
): Fault[] {
  if (input.allowInTraining === true) return [];
  const faults: Fault[] = [];
  for (const { pointer, names } of readsOf(input.rules, input.attributes)) {
    for (const name of names) {
      if (evidenceOf(name, input.attributes) !== 'inTraining') continue;
      for (let k = 0; k < cases.ids.length && faults.length < maxFaults; k++) {
        if (cases.columns[name][k] === undefined) continue;
        const caseId = cases.ids[k];
        const detail = `case "${caseId}" has "${name}" from a model that trained on it; a new snapshot may only use out-of-fold evidence`;
        faults.push({ caseId, pointer, detail });
      }
    }
  }
  return faults;
}

/** Share of the cases whose terms or exclusions read out-of-fold evidence; 0 for fold "all". */
export function sharedValidation(
  cases: CaseTable,
  input: { attributes: AttributeMap; rules: RuleDocument; fold?: number | 'all' },
): number {
  if (input.fold === 'all') return 0;
  const names = new Set(readsOf(input.rules, input.attributes).flatMap((read) => [...read.names]));
  const columns = [...names]
    .filter((name) => evidenceOf(name, input.attributes) === 'outOfFold')
    .map((name) => cases.columns[name]);
  let count = 0;
  for (let k = 0; k < cases.ids.length; k++) {
    if (columns.some((column) => column[k] !== undefined)) count++;
  }
  return count / cases.ids.length;
}
