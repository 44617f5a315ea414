// What a snapshot says of itself (METHOD.md section 10), from the integers.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import type { Diagnostics, GroupShare } from '../contract/snapshots.ts';
import type { CaseTable } from './case-table.ts';
import { attributesRead } from './rules.ts';
import { runningSum, sumOf } from './sums.ts';
import { wholeUnits } from './units.ts';

export type DiagnoseInput = {
  cases: CaseTable;
  rules: RuleDocument;
  attributes: AttributeMap;
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
};

/** Every diagnostic of a snapshot. */
export function diagnose(input: DiagnoseInput): Diagnostics {
  const { cases, targetUnits, drawUnits, lossFactors } = input;
  const count = cases.ids.length;
  const t = targetUnits.map((units) => units / wholeUnits);
  const q = drawUnits.map((units) => units / wholeUnits);
  const effective = effectiveTarget(q, lossFactors);
  const bounds = boundCounts(input);
  return {
    caseCount: count,
    effectiveFraction: 1 / sumOf(count, (k) => q[k] * lossFactors[k] ** 2),
    objectiveShift: input.rules.correction.strength === 1 ? 0 : totalVariation(effective, t),
    maxLossFactor: lossFactors.reduce((a, b) => Math.max(a, b)),
    minLossFactor: lossFactors.reduce((a, b) => Math.min(a, b)),
    divergence: {
      kl: Math.max(
        0,
        sumOf(count, (k) => q[k] * Math.log(q[k] / t[k])),
      ),
      totalVariation: totalVariation(q, t),
    },
    ...bounds,
    drawsUntilSeen: drawsUntilSeen(q),
    sharedValidation: 0,
    missing: missingCounts(input),
    groups: groupShares(input, { t, q, effective }),
    largest: largestRatios(cases, t, q),
  };
}

/** Half the sum of absolute differences of two distributions. */
export function totalVariation(a: Float64Array, b: Float64Array): number {
  return 0.5 * sumOf(a.length, (k) => Math.abs(a[k] - b[k]));
}

// The objective that is really optimised: q_i w_i, normalised.
function effectiveTarget(q: Float64Array, factors: Float64Array): Float64Array {
  const total = sumOf(q.length, (k) => q[k] * factors[k]);
  return q.map((value, k) => (value * factors[k]) / total);
}

// A case is at a bound when its units are within a few of the bound's.
function boundCounts({ rules, targetUnits, drawUnits }: DiagnoseInput): {
  atFloor: number;
  atCap: number;
} {
  const { floor, cap } = rules.sampling;
  let atFloor = 0;
  let atCap = 0;
  for (let k = 0; k < drawUnits.length; k++) {
    if (floor < 1 && Math.abs(drawUnits[k] - floor * targetUnits[k]) <= slack(targetUnits[k]))
      atFloor++;
    if (cap > 1 && Math.abs(drawUnits[k] - cap * targetUnits[k]) <= cap * slack(targetUnits[k]))
      atCap++;
  }
  return { atFloor, atCap };
}

function slack(targetUnits: number): number {
  return 4 + targetUnits * 1e-12;
}

/** The smallest n with sum (1 - q_i)^n <= 0.05: draws until every case was probably seen. */
export function drawsUntilSeen(q: Float64Array): number {
  const logs = q.map((value) => Math.log1p(-Math.min(value, 1 - 2 ** -53)));
  const unseen = (n: number) => sumOf(logs.length, (k) => Math.exp(n * logs[k]));
  let high = 1;
  while (unseen(high) > 0.05) high *= 2;
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (unseen(middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

function missingCounts({ cases, rules, attributes }: DiagnoseInput): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of attributesRead(rules, attributes)) {
    if (attributes[name]?.required !== false) continue;
    counts[name] = cases.columns[name].filter((value) => value === undefined).length;
  }
  return counts;
}

/** The value of a group attribute as text; a label set's names joined by `+`, none as `none`. */
export function groupValue(value: unknown): string {
  if (value === undefined || value === null) return 'missing';
  if (!Array.isArray(value)) return String(value);
  return value.length === 0 ? 'none' : [...value].sort().join('+');
}

function groupShares(
  { cases, rules }: DiagnoseInput,
  { t, q, effective }: { t: Float64Array; q: Float64Array; effective: Float64Array },
): GroupShare[] {
  return rules.groups.flatMap((attribute) => {
    const groups = new Map<string, number[]>();
    cases.columns[attribute].forEach((value, k) => {
      const key = groupValue(value);
      const places = groups.get(key);
      if (places === undefined) groups.set(key, [k]);
      else places.push(k);
    });
    const share = (places: number[], of: Float64Array) => {
      const sum = runningSum();
      for (const k of places) sum.add(of[k]);
      return sum.value();
    };
    return [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([value, places]) => ({
        attribute,
        value,
        caseCount: places.length,
        targetShare: share(places, t),
        drawShare: share(places, q),
        effectiveTargetShare: share(places, effective),
      }));
  });
}

function largestRatios(
  cases: CaseTable,
  t: Float64Array,
  q: Float64Array,
): { id: string; ratio: number }[] {
  const ratios = q.map((value, k) => value / t[k]);
  const order = Uint32Array.from({ length: q.length }, (_, k) => k);
  order.sort((a, b) => ratios[b] - ratios[a] || a - b);
  return Array.from(order.subarray(0, 10), (k) => ({ id: cases.ids[k], ratio: ratios[k] }));
}
