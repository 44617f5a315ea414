// From cases and rules to the numbers of a snapshot: exclude, factor, normalise, allocate, round,
// correct. Everything after rounding starts from the integers.

import type { Diagnostics, ExcludedCase } from '../contract/snapshots.ts';
import { drawProbabilities } from './allocation.ts';
import { type CaseTable, type Fault, maxFaults } from './case-table.ts';
import { diagnose } from './diagnostics.ts';
import { lossFactors } from './loss-factors.ts';
import { type AppliedTerm, type ResolveInput, rulesApplied } from './rules-applied.ts';
import { sumOf } from './sums.ts';
import { minUnits, probabilityUnits } from './units.ts';

export type { ResolveInput } from './rules-applied.ts';

export type Resolved = {
  ok: true;
  /** Case ids in digest order (UTF-8 bytes); every array below is in this order. */
  ids: string[];
  /** Whole numbers out of 2^52; both lists sum to exactly that. */
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
  /** Product of the sampling terms, before temper. */
  scores: Float64Array;
  /** Withdrawn and excluded cases with the reason, in id order. */
  excluded: ExcludedCase[];
  diagnostics: Diagnostics;
};

/**
 * The numbers of a snapshot, or what is wrong with fields and cases (METHOD.md sections 3 to 5 and
 * 10). Throws RangeError where the table lacks a column of `attributesRead`.
 */
export function resolveSnapshot(input: ResolveInput): Resolved | { ok: false; faults: Fault[] } {
  const applied = rulesApplied(input);
  if ('faults' in applied) return { ok: false, faults: applied.faults };
  const { cases, excluded, terms, sharedValidation } = applied;
  const { rules, attributes } = input;
  const target = targetProbabilities(logProducts(terms, 'target', cases.ids.length));
  const targetUnits = probabilityUnits(target);
  const small = tooSmall('target', targetUnits, cases);
  if (small.length > 0) return { ok: false, faults: small };
  const { floor, cap, temper } = rules.sampling;
  const logScores = logProducts(terms, 'sampling', cases.ids.length);
  const ruled = probabilityUnits(drawProbabilities({ target, logScores, temper, floor, cap }));
  const drawUnits = input.redraw?.({ targetUnits, drawUnits: ruled }) ?? ruled;
  const rare = tooSmall('draw', drawUnits, cases);
  if (rare.length > 0) return { ok: false, faults: rare };
  const factors = lossFactors(targetUnits, drawUnits, rules.correction.strength);
  const numbers = { targetUnits, drawUnits, lossFactors: factors };
  const diagnostics = diagnose({ cases, rules, attributes, sharedValidation, ...numbers });
  const scores = products(terms, logScores);
  return { ok: true, ids: cases.ids, ...numbers, scores, excluded, diagnostics };
}

export type ExplainedTerm = {
  name: string;
  kind: string;
  list: 'target' | 'sampling';
  factor: number;
  /** A sentence with the numbers that made the factor. */
  because: string;
};

/**
 * The terms of the named cases with factors and reasons, in the order of the rules, from the same
 * pass as the snapshot; a case that is not drawn has no entry, and none has one where the rules do
 * not hold.
 */
export function explainCases(
  input: ResolveInput & { caseIds: string[] },
): Map<string, ExplainedTerm[]> {
  const explained = new Map<string, ExplainedTerm[]>();
  const applied = rulesApplied(input);
  if ('faults' in applied) return explained;
  for (const caseId of input.caseIds) {
    const place = applied.cases.ids.indexOf(caseId);
    if (place < 0) continue;
    const terms = applied.terms.map(({ name, kind, list, factors, because }) => ({
      name,
      kind,
      list,
      factor: factors[place],
      because: because(place),
    }));
    explained.set(caseId, terms);
  }
  return explained;
}

/** The terms of one case; empty where it is not drawn or the rules do not hold. */
export function explainCase({
  caseId,
  ...input
}: ResolveInput & { caseId: string }): ExplainedTerm[] {
  return explainCases({ ...input, caseIds: [caseId] }).get(caseId) ?? [];
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

const smallestNormal = 2 ** -1022;

// The score as people multiply it. Where that leaves the doubles on the way, the logarithm decides,
// and a score that is not 0 stays finite and above 0.
function products(terms: AppliedTerm[], logs: Float64Array): Float64Array {
  const scores = new Float64Array(logs.length).fill(1);
  for (const { list, factors } of terms) {
    if (list !== 'sampling') continue;
    for (let k = 0; k < scores.length; k++) {
      const score = scores[k] * factors[k];
      scores[k] = score >= smallestNormal && score < Infinity ? score : Number.NaN;
    }
  }
  return scores.map((score, k) => {
    if (logs[k] === -Infinity) return 0;
    if (!Number.isNaN(score)) return score;
    return Math.min(Math.max(Math.exp(logs[k]), Number.MIN_VALUE), Number.MAX_VALUE);
  });
}

function targetProbabilities(logs: Float64Array): Float64Array {
  const top = logs.reduce((a, b) => Math.max(a, b));
  const shares = logs.map((log) => Math.exp(log - top));
  const total = sumOf(shares.length, (k) => shares[k]);
  return shares.map((share) => share / total);
}

const smallHints = {
  target: { pointer: '/target/terms', hint: 'Bring the target factors closer together' },
  draw: { pointer: '/sampling/floor', hint: 'Raise the floor' },
};

// Freezing refuses probabilities under 2^20 units: so small a floor or target means nothing.
function tooSmall(what: 'target' | 'draw', units: Float64Array, cases: CaseTable): Fault[] {
  const { pointer, hint } = smallHints[what];
  const faults: Fault[] = [];
  for (let k = 0; k < units.length && faults.length < maxFaults; k++) {
    if (units[k] >= minUnits) continue;
    const caseId = cases.ids[k];
    const detail = `case "${caseId}" gets ${units[k]} of 2^52 ${what} units, under 2^20: so small a ${what} probability means nothing. ${hint}, or exclude the case`;
    faults.push({ caseId, pointer, detail });
  }
  return faults;
}
