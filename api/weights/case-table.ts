// The cases that rules are applied to, as columns: one array per attribute, undefined where a case
// has no value. No object is kept per case, so a million cases fit.

import { compareIds } from './digest.ts';

export type CaseTable = {
  /** Case ids in any order. */
  ids: string[];
  /** Attribute name to one value per case: number, string, boolean, or list of label names. */
  columns: Record<string, unknown[]>;
};

/** What is wrong with rules or a case: a JSON pointer into the rules, or a case id, or both. */
export type Fault = {
  pointer?: string;
  caseId?: string;
  detail: string;
  range?: { from: number; to: number };
};

/** The most faults of one answer. */
export const maxFaults = 100;

/** The same cases ordered by the UTF-8 bytes of their ids; the table itself where it is so. */
export function inIdOrder(cases: CaseTable): CaseTable {
  const { ids } = cases;
  if (ids.every((id, k) => k === 0 || compareIds(ids[k - 1], id) <= 0)) return cases;
  const order = Uint32Array.from({ length: ids.length }, (_, k) => k);
  // Below the surrogates both orders agree, and the engine compares whole strings faster.
  const plain = ids.every((id) => !/[\ud800-\uffff]/.test(id));
  if (plain) order.sort((a, b) => (ids[a] < ids[b] ? -1 : ids[a] === ids[b] ? a - b : 1));
  else order.sort((a, b) => compareIds(ids[a], ids[b]) || a - b);
  return picked(cases, order);
}

/** The cases at these places, in this order. */
export function picked({ ids, columns }: CaseTable, places: Uint32Array): CaseTable {
  const pick = <Value>(column: Value[]) => Array.from(places, (k) => column[k]);
  const entries = Object.entries(columns).map(([name, column]) => [name, pick(column)]);
  return { ids: pick(ids), columns: Object.fromEntries(entries) };
}

/** A fault for each id that stands twice in an ordered table. */
export function repeatedIds({ ids }: CaseTable): Fault[] {
  const faults: Fault[] = [];
  for (let k = 1; k < ids.length && faults.length < maxFaults; k++) {
    if (ids[k] !== ids[k - 1]) continue;
    faults.push({ caseId: ids[k], detail: `case "${ids[k]}" is in the table twice` });
  }
  return faults;
}
