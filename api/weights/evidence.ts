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

const excludes = ({ pointer }: { pointer: string }) => pointer.startsWith('/exclude/');

/**
 * A fault for each case that has in-training evidence which a term reads, or an exclusion. For
 * exclusions the cases are those before them: one that is left out by such evidence counts.
 */
export function evidenceFaults(
  by: 'exclusions' | 'terms',
  cases: CaseTable,
  input: { attributes: AttributeMap; rules: RuleDocument; allowInTraining?: boolean },
): Fault[] {
  if (input.allowInTraining === true) return [];
  const faults: Fault[] = [];
  const reads = readsOf(input.rules, input.attributes);
  for (const read of reads.filter((each) => excludes(each) === (by === 'exclusions'))) {
    for (const name of read.names) {
      if (evidenceOf(name, input.attributes) !== 'inTraining') continue;
      for (let k = 0; k < cases.ids.length && faults.length < maxFaults; k++) {
        if (cases.columns[name][k] === undefined) continue;
        const caseId = cases.ids[k];
        const detail = `case "${caseId}" has "${name}" from a model that trained on it; a new snapshot may only use out-of-fold evidence`;
        faults.push({ caseId, pointer: read.pointer, detail });
      }
    }
  }
  return faults;
}

/**
 * Share (0 to 1) of the cases for which a term or exclusion reads out-of-fold evidence; cases that
 * an exclusion left out and that have evidence which it read count too. 0 for fold "all", which
 * has no validation side (METHOD.md section 8).
 */
export function sharedValidation(
  { before, remaining }: { before: CaseTable; remaining: CaseTable },
  input: { attributes: AttributeMap; rules: RuleDocument; fold?: number | 'all' },
): number {
  if (input.fold === 'all') return 0;
  const reads = readsOf(input.rules, input.attributes);
  const outOfFold = (read: { names: Set<string> }) =>
    [...read.names].filter((name) => evidenceOf(name, input.attributes) === 'outOfFold');
  const names = reads.flatMap(outOfFold);
  const excluding = reads.filter(excludes).flatMap(outOfFold);
  const kept = placesWith(remaining, names).length;
  if (excluding.length === 0) return kept / remaining.ids.length;
  const remain = new Set(remaining.ids);
  const leftOut = placesWith(before, excluding).filter((k) => !remain.has(before.ids[k])).length;
  return (kept + leftOut) / (remaining.ids.length + leftOut);
}

// The places of the cases that have a value of one of these attributes.
function placesWith({ ids, columns }: CaseTable, names: string[]): number[] {
  if (names.length === 0) return [];
  return [...ids.keys()].filter((k) => names.some((name) => columns[name][k] !== undefined));
}
