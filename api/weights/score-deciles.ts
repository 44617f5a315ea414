// Where a case stands among the training side's scores. Validation cases get scores by the same
// rules with the statistics of the training side; they are never drawn (METHOD.md section 9).

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import { type CaseTable, type Fault, picked } from './case-table.ts';
import { placedTerms, readsOf, termContext } from './rules.ts';
import { kindOf } from './terms/registry.ts';

export type ScoreDeciles = {
  /** 0 (lowest) to 9 for each case, -1 where it has none; in the order of the tables. */
  training: Int8Array;
  validation: Int8Array;
  /** Validation cases that have none, with the reason. */
  faults: Fault[];
};

/** Validation cases for which a term has no answer are left out, in so many turns at most. */
const turns = 10;

/**
 * Score deciles of both sides: the share of the training side's cases whose score is lower, in
 * tenths. `training` holds the cases of the snapshot alone: those left out count for nothing.
 */
export function scoreDeciles({
  training,
  validation,
  ...by
}: {
  training: CaseTable;
  validation: CaseTable;
  attributes: AttributeMap;
  rules: RuleDocument;
}): ScoreDeciles {
  const counted = training.ids.length;
  let { places, faults } = complete(validation, by);
  for (let turn = 0; turn < turns; turn++) {
    const kept = picked(validation, places);
    const scored = logScores(joined(training, kept), counted, by);
    if (!('faults' in scored)) {
      const sorted = scored.logs.slice(0, counted).sort();
      const decileOf = (log: number) =>
        Math.min(9, Math.floor((10 * below(sorted, log)) / counted));
      const deciles = new Int8Array(validation.ids.length).fill(-1);
      places.forEach((place, k) => {
        deciles[place] = decileOf(scored.logs[counted + k]);
      });
      const own = Int8Array.from(scored.logs.subarray(0, counted), decileOf);
      return { training: own, validation: deciles, faults };
    }
    faults = [...faults, ...scored.faults];
    const wrong = new Set(scored.faults.map(({ caseId }) => caseId));
    const rest = places.filter((place) => !wrong.has(validation.ids[place]));
    if (rest.length === places.length) break; // no case of the validation side is at fault
    places = rest;
  }
  return { ...none(training, validation), faults };
}

const none = (training: CaseTable, validation: CaseTable) => ({
  training: new Int8Array(training.ids.length).fill(-1),
  validation: new Int8Array(validation.ids.length).fill(-1),
});

type By = { attributes: AttributeMap; rules: RuleDocument };

// The validation cases that have all required attributes which a sampling term reads.
function complete(cases: CaseTable, { attributes, rules }: By) {
  const required = readsOf(rules, attributes)
    .filter(({ pointer }) => pointer.startsWith('/sampling/'))
    .flatMap(({ names }) => [...names])
    .filter((name) => attributes[name]?.required !== false);
  const faults: Fault[] = [];
  const places = Uint32Array.from(cases.ids.keys()).filter((k) => {
    const missing = required.find((name) => cases.columns[name][k] === undefined);
    if (missing === undefined) return true;
    const caseId = cases.ids[k];
    faults.push({ caseId, detail: `case "${caseId}" has no "${missing}"` });
    return false;
  });
  return { places, faults };
}

function joined(a: CaseTable, b: CaseTable): CaseTable {
  const columns = Object.keys(a.columns).map((name) => [
    name,
    a.columns[name].concat(b.columns[name]),
  ]);
  return { ids: a.ids.concat(b.ids), columns: Object.fromEntries(columns) };
}

// Logarithm of each case's product of sampling factors; -Infinity where one is 0.
function logScores(
  cases: CaseTable,
  counted: number,
  { attributes, rules }: By,
): { logs: Float64Array } | { faults: Fault[] } {
  const context = termContext(attributes);
  const logs = new Float64Array(cases.ids.length);
  for (const { term, list } of placedTerms(rules)) {
    if (list !== 'sampling') continue;
    const result = kindOf(term).factors(term as never, cases, context, counted);
    if (Array.isArray(result)) return { faults: result };
    const faults: Fault[] = [];
    result.factors.forEach((factor, k) => {
      if (factor >= 0 && factor < Infinity) return;
      const caseId = cases.ids[k];
      faults.push({ caseId, detail: `case "${caseId}" gets factor ${factor} from "${term.name}"` });
    });
    if (faults.length > 0) return { faults };
    for (let k = 0; k < logs.length; k++) logs[k] += Math.log(result.factors[k]);
  }
  return { logs };
}

// How many of the sorted values are lower.
function below(sorted: Float64Array, value: number): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
