// What a snapshot says of itself (METHOD.md section 10), all of it from the integers and the loss
// factors that are stored, and the gate that freezing passes.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import type { Diagnostics, GroupShare } from '../contract/snapshots.ts';
import type { CaseTable, Fault } from './case-table.ts';
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
  /** Share of the cases with out-of-fold evidence. */
  sharedValidation: number;
};

/** Under this effective fraction freezing asks for `acceptLowEffective` (METHOD.md section 10). */
export const freezeMinEffective = 0.3;

/** Why these diagnostics do not pass the gate of freezing, or null where they do. */
export function lowEffectiveFault({
  effectiveFraction,
}: Pick<Diagnostics, 'effectiveFraction'>): Fault | null {
  if (effectiveFraction >= freezeMinEffective) return null;
  const detail = `the effective fraction is ${effectiveFraction.toFixed(3)}, under ${freezeMinEffective}: the corrected loss would be that noisy. Lower the cap or the powers, or send acceptLowEffective: true and say why in the reason`;
  return { pointer: '/acceptLowEffective', detail };
}

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
    sharedValidation: input.sharedValidation,
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

/**
 * The bound that holds a case, from its units: within a few units of floor or cap. Null where floor
 * and cap are both 1, and where neither holds.
 */
export function boundOf(
  { targetUnits, drawUnits }: { targetUnits: number; drawUnits: number },
  { floor, cap }: { floor: number; cap: number },
): 'floor' | 'cap' | null {
  const slack = 4 + targetUnits * 1e-12;
  if (floor < 1 && Math.abs(drawUnits - floor * targetUnits) <= slack) return 'floor';
  return cap > 1 && Math.abs(drawUnits - cap * targetUnits) <= cap * slack ? 'cap' : null;
}

function boundCounts({ rules, targetUnits, drawUnits }: DiagnoseInput) {
  const counts = { floor: 0, cap: 0 };
  for (let k = 0; k < drawUnits.length; k++) {
    const units = { targetUnits: targetUnits[k], drawUnits: drawUnits[k] };
    const bound = boundOf(units, rules.sampling);
    if (bound !== null) counts[bound]++;
  }
  return { atFloor: counts.floor, atCap: counts.cap };
}

/** The smallest n with sum (1 - q_i)^n <= 0.05: draws until every case was probably seen. */
export function drawsUntilSeen(q: Float64Array): number {
  const logs = q.map((value) => Math.log1p(-Math.min(value, 1 - 2 ** -53)));
  const unseen = (n: number) => sumOf(logs.length, (k) => Math.exp(n * logs[k]));
  // The rarest case alone needs `low` draws; if all were as rare, `high` would do.
  const rarest = -logs.reduce((a, b) => Math.max(a, b));
  let low = Math.floor(Math.log(20) / rarest);
  let high = Math.ceil(Math.log(20 * q.length) / rarest);
  while (low > 0 && unseen(low) <= 0.05) low--;
  while (unseen(high) > 0.05) high++;
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
    const newGroup = () => ({ caseCount: 0, shares: [t, q, effective].map(() => runningSum()) });
    const groups = new Map<string, ReturnType<typeof newGroup>>();
    cases.columns[attribute].forEach((value, k) => {
      const key = groupValue(value);
      const group = groups.get(key) ?? newGroup();
      if (group.caseCount++ === 0) groups.set(key, group);
      group.shares[0].add(t[k]);
      group.shares[1].add(q[k]);
      group.shares[2].add(effective[k]);
    });
    return [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([value, { caseCount, shares }]) => ({
        attribute,
        value,
        caseCount,
        targetShare: shares[0].value(),
        drawShare: shares[1].value(),
        effectiveTargetShare: shares[2].value(),
      }));
  });
}

// The ten cases drawn most above their target, ties by id.
function largestRatios(
  cases: CaseTable,
  t: Float64Array,
  q: Float64Array,
): { id: string; ratio: number }[] {
  const largest: { id: string; ratio: number }[] = [];
  for (let k = 0; k < q.length; k++) {
    const ratio = q[k] / t[k];
    if (largest.length === 10 && ratio <= largest[9].ratio) continue;
    const place = largest.findIndex((other) => other.ratio < ratio);
    largest.splice(place < 0 ? largest.length : place, 0, { id: cases.ids[k], ratio });
    if (largest.length > 10) largest.pop();
  }
  return largest;
}
