// From cases and rules to the numbers of a snapshot: exclude, factor, normalise, allocate, round,
// correct. Everything after rounding starts from the integers.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import type { Diagnostics, ExcludedCase } from '../contract/snapshots.ts';
import { drawProbabilities } from './allocation.ts';
import type { CaseTable, Fault } from './case-table.ts';
import { diagnose } from './diagnostics.ts';
import { compareIds } from './digest.ts';
import { lossFactors } from './loss-factors.ts';
import { placedTerms, termContext } from './rules.ts';
import { runningSum, sumOf } from './sums.ts';
import { evaluatedCases } from './terms/evaluated-cases.ts';
import { kindOf } from './terms/registry.ts';
import type { TermContext, TermResult } from './terms/term-kind.ts';
import { minUnits, probabilityUnits } from './units.ts';

export type ResolveInput = { cases: CaseTable; attributes: AttributeMap; rules: RuleDocument };

export type Resolved = {
  ok: true;
  /** Case ids in digest order (UTF-8 bytes); every array below is in this order. */
  ids: string[];
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
  /** Product of the sampling terms, before temper. */
  scores: Float64Array;
  excluded: ExcludedCase[];
  diagnostics: Diagnostics;
};

type AppliedTerm = TermResult & { name: string; kind: string; list: 'target' | 'sampling' };
type Applied = { cases: CaseTable; excluded: ExcludedCase[]; terms: AppliedTerm[] };

/** The numbers of a snapshot, or what is wrong with fields and cases (METHOD.md sections 3 to 5). */
export function resolveSnapshot({
  cases: all,
  attributes,
  rules,
}: ResolveInput): Resolved | { ok: false; faults: Fault[] } {
  const applied = applyRules({ cases: all, attributes, rules });
  if ('faults' in applied) return { ok: false, faults: applied.faults };
  const { cases, excluded, terms } = applied;
  const target = targetProbabilities(terms, cases);
  if ('faults' in target) return { ok: false, faults: target.faults };
  const { floor, cap, temper } = rules.sampling;
  const logScores = logProducts(terms, 'sampling', cases.ids.length);
  const draw = drawProbabilities({ target: target.probabilities, logScores, temper, floor, cap });
  const targetUnits = probabilityUnits(target.probabilities);
  const drawUnits = probabilityUnits(draw);
  const faults = [...tooSmall('target', targetUnits, cases), ...tooSmall('draw', drawUnits, cases)];
  if (faults.length > 0) return { ok: false, faults: faults.slice(0, 100) };
  const factors = lossFactors(targetUnits, drawUnits, rules.correction.strength);
  const diagnostics = diagnose({
    cases,
    rules,
    attributes,
    targetUnits,
    drawUnits,
    lossFactors: factors,
  });
  const scores = logScores.map(Math.exp);
  return {
    ok: true,
    ids: cases.ids,
    targetUnits,
    drawUnits,
    lossFactors: factors,
    scores,
    excluded,
    diagnostics,
  };
}

/** The terms of one case with their factors and reasons; empty list where the case is not drawn. */
export function explainCase(input: ResolveInput & { caseId: string }) {
  const applied = applyRules(input);
  if ('faults' in applied) return [];
  const place = applied.cases.ids.indexOf(input.caseId);
  if (place < 0) return [];
  return applied.terms.map(({ name, kind, list, factors, because }) => ({
    name,
    kind,
    list,
    factor: factors[place],
    because: because(place),
  }));
}

function applyRules({
  cases: all,
  attributes,
  rules,
}: ResolveInput): Applied | { faults: Fault[] } {
  const context = termContext(attributes);
  const remaining = withoutExcluded(inIdOrder(all), rules, context);
  if ('faults' in remaining) return remaining;
  const { cases, excluded } = remaining;
  if (cases.ids.length === 0) {
    return { faults: [{ pointer: '/exclude', detail: 'no cases remain to be drawn' }] };
  }
  const terms: AppliedTerm[] = [];
  const faults: Fault[] = [];
  for (const { term, list, pointer } of placedTerms(rules)) {
    const result = kindOf(term).factors(term as never, cases, context);
    if (!Array.isArray(result)) terms.push({ ...result, name: term.name, kind: term.kind, list });
    else
      faults.push(
        ...result.map((fault) => ({ ...fault, pointer: `${pointer}${fault.pointer ?? ''}` })),
      );
  }
  return faults.length > 0 ? { faults: faults.slice(0, 100) } : { cases, excluded, terms };
}

function inIdOrder(cases: CaseTable): CaseTable {
  const sorted = cases.ids.every((id, k) => k === 0 || compareIds(cases.ids[k - 1], id) < 0);
  if (sorted) return cases;
  const order = cases.ids.map((_, k) => k).sort((a, b) => compareIds(cases.ids[a], cases.ids[b]));
  return picked(cases, order);
}

function picked({ ids, columns }: CaseTable, places: number[]): CaseTable {
  const entries = Object.entries(columns).map(([name, column]) => [
    name,
    places.map((k) => column[k]),
  ]);
  return { ids: places.map((k) => ids[k]), columns: Object.fromEntries(entries) };
}

function withoutExcluded(
  cases: CaseTable,
  rules: RuleDocument,
  context: TermContext,
): { cases: CaseTable; excluded: ExcludedCase[] } | { faults: Fault[] } {
  const reasons = new Map<number, string>();
  for (const [k, { name, when }] of rules.exclude.entries()) {
    const result = evaluatedCases({ text: when, type: 'bool' }, cases, context);
    if ('faults' in result) {
      return {
        faults: result.faults.map((fault) => ({ ...fault, pointer: `/exclude/${k}/when` })),
      };
    }
    result.values.forEach((held, place) => {
      if (held && !reasons.has(place)) reasons.set(place, `${name}: ${when}`);
    });
  }
  if (reasons.size === 0) return { cases, excluded: [] };
  const kept = cases.ids.flatMap((_, k) => (reasons.has(k) ? [] : [k]));
  const excluded = [...reasons].sort(([a], [b]) => a - b);
  return {
    cases: picked(cases, kept),
    excluded: excluded.map(([k, reason]) => ({ id: cases.ids[k], reason })),
  };
}

// Natural logarithm of each case's product of factors; -Infinity where one is zero.
function logProducts(
  terms: AppliedTerm[],
  list: 'target' | 'sampling',
  count: number,
): Float64Array {
  const logs = new Float64Array(count);
  for (const term of terms) {
    if (term.list !== list) continue;
    for (let k = 0; k < count; k++) logs[k] += Math.log(term.factors[k]);
  }
  return logs;
}

function targetProbabilities(
  terms: AppliedTerm[],
  cases: CaseTable,
): { probabilities: Float64Array } | { faults: Fault[] } {
  const count = cases.ids.length;
  const logs = logProducts(terms, 'target', count);
  const zero = logs.indexOf(-Infinity);
  if (zero >= 0) {
    const detail = `case "${cases.ids[zero]}" gets a target of 0; use exclude to leave cases out`;
    return { faults: [{ pointer: '/target/terms', caseId: cases.ids[zero], detail }] };
  }
  const top = logs.reduce((a, b) => Math.max(a, b));
  const products = logs.map((log) => Math.exp(log - top));
  const total = sumOf(count, (k) => products[k]);
  const probabilities = products.map((value) => value / total);
  const sum = runningSum();
  for (const value of probabilities) sum.add(value);
  return { probabilities };
}

function tooSmall(what: 'target' | 'draw', units: Float64Array, cases: CaseTable): Fault[] {
  const faults: Fault[] = [];
  for (let k = 0; k < units.length && faults.length < 50; k++) {
    if (units[k] >= minUnits) continue;
    const caseId = cases.ids[k];
    const pointer = what === 'target' ? '/target/terms' : '/sampling/floor';
    faults.push({
      caseId,
      pointer,
      detail: `case "${caseId}" gets ${units[k]} of 2^52 ${what} units, under 2^20: so small a ${what} probability means nothing. ${what === 'target' ? 'Lower the range of the target factors' : 'Raise the floor'}, or exclude the case`,
    });
  }
  return faults;
}
