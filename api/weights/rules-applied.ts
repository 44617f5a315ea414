// Rules on cases: order, withdraw, exclude, then every term's factors. What a snapshot holds and
// what an explanation says both come from here, so they cannot differ.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import type { ExcludedCase } from '../contract/snapshots.ts';
import {
  type CaseTable,
  type Fault,
  inIdOrder,
  maxFaults,
  picked,
  repeatedIds,
} from './case-table.ts';
import { compareIds } from './digest.ts';
import { evidenceFaults, sharedValidation } from './evidence.ts';
import { attributesRead, placedTerms, termContext } from './rules.ts';
import { evaluatedCases } from './terms/evaluated-cases.ts';
import { kindOf } from './terms/registry.ts';
import type { TermContext, TermResult } from './terms/term-kind.ts';

export type ResolveInput = {
  cases: CaseTable;
  attributes: AttributeMap;
  rules: RuleDocument;
  /** Case id to the reason of its withdrawal; ids that are not in the table are passed over. */
  withdrawn?: ReadonlyMap<string, string>;
  /** Fold of the cases; "all" has no validation side. */
  fold?: number | 'all';
  /** True only for a child of the very run whose model made the evidence (METHOD.md section 8). */
  allowInTraining?: boolean;
  /**
   * The draw units of a child, from those that the rules give now (children.ts); both in digest
   * order. Left out: the units themselves.
   */
  redraw?: (units: { targetUnits: Float64Array; drawUnits: Float64Array }) => Float64Array;
};

export type AppliedTerm = TermResult & {
  name: string;
  kind: string;
  list: 'target' | 'sampling';
  pointer: string;
};
export type Applied = {
  cases: CaseTable;
  excluded: ExcludedCase[];
  terms: AppliedTerm[];
  /** Share of the cases that evidence from other folds decides about. */
  sharedValidation: number;
};

/** The cases that remain in id order with every term's factors, or what is wrong. */
export function rulesApplied(input: ResolveInput): Applied | { faults: Fault[] } {
  const { attributes, rules } = input;
  const context = termContext(attributes);
  const read = attributesRead(rules, attributes);
  requireColumns(input.cases, read);
  const ordered = inIdOrder(input.cases);
  const present = withoutWithdrawn(ordered, input.withdrawn);
  const unready = [...repeatedIds(ordered), ...missingRequired(present.cases, read, attributes)];
  if (unready.length > 0) return { faults: unready.slice(0, maxFaults) };
  const excluding = evidenceFaults('exclusions', present.cases, input);
  if (excluding.length > 0) return { faults: excluding };
  const remaining = withoutExcluded(present.cases, rules, context);
  if ('faults' in remaining) return remaining;
  const { cases } = remaining;
  if (cases.ids.length === 0) {
    return { faults: [{ pointer: '/exclude', detail: noneRemain(ordered.ids.length) }] };
  }
  const trained = evidenceFaults('terms', cases, input);
  if (trained.length > 0) return { faults: trained };
  const terms = termsApplied(cases, rules, context);
  if ('faults' in terms) return terms;
  const excluded = [...present.excluded, ...remaining.excluded];
  excluded.sort((a, b) => compareIds(a.id, b.id));
  const shared = sharedValidation({ before: present.cases, remaining: cases }, input);
  return { cases, terms, excluded, sharedValidation: shared };
}

function requireColumns(cases: CaseTable, read: Set<string>): void {
  for (const name of read) {
    if (cases.columns[name]?.length === cases.ids.length) continue;
    throw new RangeError(`the case table needs a column "${name}" with a value for every case`);
  }
}

function noneRemain(count: number): string {
  return `none of the ${count} cases remain to be drawn: all are excluded or withdrawn`;
}

// A required attribute that a case lacks is a fault wherever rules read it.
function missingRequired(cases: CaseTable, read: Set<string>, attributes: AttributeMap): Fault[] {
  const faults: Fault[] = [];
  for (const name of read) {
    if (attributes[name]?.required === false) continue;
    const column = cases.columns[name];
    for (let k = column.indexOf(undefined); k >= 0; k = column.indexOf(undefined, k + 1)) {
      if (faults.length === maxFaults) return faults;
      const caseId = cases.ids[k];
      const detail = `case "${caseId}" has no "${name}", which is required; upload it or declare the attribute required: false`;
      faults.push({ caseId, detail });
    }
  }
  return faults;
}

type Remaining = Pick<Applied, 'cases' | 'excluded'>;

function withoutWithdrawn(cases: CaseTable, withdrawn?: ReadonlyMap<string, string>): Remaining {
  const reasons = new Map<number, string>();
  if (withdrawn === undefined || withdrawn.size === 0) return { cases, excluded: [] };
  cases.ids.forEach((id, k) => {
    if (withdrawn.has(id)) reasons.set(k, `withdrawn: ${withdrawn.get(id)}`);
  });
  return without(cases, reasons);
}

function without(cases: CaseTable, reasons: Map<number, string>): Remaining {
  if (reasons.size === 0) return { cases, excluded: [] };
  const places = Uint32Array.from({ length: cases.ids.length }, (_, k) => k);
  const kept = places.filter((k) => !reasons.has(k));
  const excluded = [...reasons].map(([k, reason]) => ({ id: cases.ids[k], reason }));
  return { cases: picked(cases, kept), excluded };
}

function withoutExcluded(
  cases: CaseTable,
  { exclude }: RuleDocument,
  context: TermContext,
): Remaining | { faults: Fault[] } {
  const reasons = new Map<number, string>();
  for (const [index, { name, when }] of exclude.entries()) {
    const result = evaluatedCases({ text: when, type: 'bool' }, cases, context);
    const faults = 'faults' in result ? result.faults : undecided(cases, when, result.absent);
    if ('faults' in result || faults.length > 0) {
      return { faults: faults.map((fault) => ({ ...fault, pointer: `/exclude/${index}/when` })) };
    }
    result.values.forEach((held, k) => {
      if (held === true && !reasons.has(k)) reasons.set(k, `${name}: ${when}`);
    });
  }
  return without(cases, reasons);
}

// A term without its attribute has factor 1; an exclusion has no such neutral answer.
function undecided(cases: CaseTable, when: string, absent: Map<number, string>): Fault[] {
  return [...absent].slice(0, maxFaults).map(([k, name]) => {
    const caseId = cases.ids[k];
    const detail = `case "${caseId}" has no "${name}", so ${when} does not decide; ask has(case.${name}) first`;
    return { caseId, detail };
  });
}

function termsApplied(
  cases: CaseTable,
  rules: RuleDocument,
  context: TermContext,
): AppliedTerm[] | { faults: Fault[] } {
  const terms: AppliedTerm[] = [];
  const faults: Fault[] = [];
  for (const { term, list, pointer } of placedTerms(rules)) {
    const result = kindOf(term).factors(term as never, cases, context);
    if (Array.isArray(result)) {
      const placed = result.map((fault) => ({
        ...fault,
        pointer: pointer + (fault.pointer ?? ''),
      }));
      faults.push(...placed);
      continue;
    }
    const applied = { ...result, name: term.name, kind: term.kind, list, pointer };
    faults.push(...factorFaults(cases, applied));
    terms.push(applied);
  }
  return faults.length > 0 ? { faults: faults.slice(0, maxFaults) } : terms;
}

// Target factors are above 0, sampling factors 0 or more, and both are finite.
function factorFaults(cases: CaseTable, { name, list, factors, pointer }: AppliedTerm): Fault[] {
  const faults: Fault[] = [];
  for (let k = 0; k < factors.length && faults.length < maxFaults; k++) {
    const factor = factors[k];
    const low = list === 'target' ? factor > 0 : factor >= 0;
    if (low && factor < Infinity) continue;
    const caseId = cases.ids[k];
    const rule =
      list === 'target' && factor === 0
        ? 'a target factor is above 0; use exclude to leave cases out'
        : 'a factor is finite and not negative';
    const detail = `case "${caseId}" gets factor ${factor} from the term "${name}": ${rule}`;
    faults.push({ caseId, pointer, detail });
  }
  return faults;
}
