// Shares of groups of cases: of the target, the draws and the effective target, and of validation.
// Cases are added one at a time, so that no list of them is needed.

import type { AttributeMap } from '../contract/attributes.ts';
import type { GroupShare } from '../contract/snapshots.ts';
import { unknownAttribute } from './attribute-names.ts';
import { groupValue } from './diagnostics.ts';
import { holds, type PlacedNumbers } from './moves.ts';
import { type RunningSum, runningSum } from './sums.ts';
import { binOf } from './terms/rarity.ts';
import { wholeUnits } from './units.ts';

/** Cases by the values of one attribute, a number by its bins. */
export type Grouping = { attribute: string; bins?: number[] };

export type ShareRow = GroupShare & {
  /** Of the validation side; null where the fold has none. */
  validationCount: number | null;
  /** Null too where the validation side is empty. */
  validationShare: number | null;
};

/** The most values of one attribute that are told apart. */
export const mostGroups = 50_000;

/** What is wrong with a grouping, or null. */
export function groupingFault(
  { attribute, bins }: Grouping,
  attributes: AttributeMap,
): string | null {
  if (!Object.hasOwn(attributes, attribute)) return unknownAttribute(attribute, attributes);
  const { type } = attributes[attribute];
  if (type === 'number' && bins === undefined) {
    return `attribute "${attribute}" is number: give the edges of its bins, as ?by=${attribute}&bins=1,10`;
  }
  if (type === 'number' || bins === undefined) return null;
  return `attribute "${attribute}" is ${type}; only numbers have bins, so leave bins out`;
}

type Group = { caseCount: number; validationCount: number; sums: RunningSum[] };

export type ShareCounter = {
  /** Adds a case of the dataset version by its ordinal and its value; others are passed over. */
  add: (ordinal: number, value: unknown) => void;
  /** One row per value, by value, bins by their edges; RangeError over `mostGroups` values. */
  rows: () => ShareRow[];
};

/**
 * Counts the cases of a snapshot and of its validation side by one attribute, with the same sums in
 * the same order as the diagnostics (METHOD.md section 10) when cases come in id order.
 */
export function shareCounter(
  { attribute, bins }: Grouping,
  {
    numbers,
    effectiveTotal,
    validation,
  }: {
    numbers: PlacedNumbers;
    effectiveTotal: number;
    /** By ordinal 1 where the case is on the validation side; null where there is none. */
    validation: Uint8Array | null;
  },
): ShareCounter {
  const groups = new Map<string, Group>();
  let validationTotal = 0;
  const groupOf = (value: unknown): Group => {
    const known = value === undefined || value === null;
    const key = bins === undefined || known ? groupValue(value) : binOf(value as number, bins);
    const found = groups.get(key);
    if (found !== undefined) return found;
    if (groups.size === mostGroups) throw new RangeError(tooMany(attribute));
    const group = { caseCount: 0, validationCount: 0, sums: [0, 1, 2].map(() => runningSum()) };
    groups.set(key, group);
    return group;
  };
  return {
    add: (k, value) => {
      const validates = validation !== null && validation[k] === 1;
      if (!validates && !holds(numbers, k)) return;
      const group = groupOf(value);
      if (validates) {
        group.validationCount++;
        validationTotal++;
      }
      if (!holds(numbers, k)) return;
      const draw = numbers.drawUnits[k] / wholeUnits;
      group.caseCount++;
      group.sums[0].add(numbers.targetUnits[k] / wholeUnits);
      group.sums[1].add(draw);
      group.sums[2].add((draw * numbers.lossFactors[k]) / effectiveTotal);
    },
    rows: () =>
      [...groups]
        .sort(([a], [b]) => inOrder(a, b, bins))
        .map(([value, group]) => ({
          attribute,
          value,
          caseCount: group.caseCount,
          targetShare: group.sums[0].value(),
          drawShare: group.sums[1].value(),
          effectiveTargetShare: group.sums[2].value(),
          validationCount: validation === null ? null : group.validationCount,
          validationShare:
            validation === null || validationTotal === 0
              ? null
              : group.validationCount / validationTotal,
        })),
  };
}

function tooMany(attribute: string): string {
  return `attribute "${attribute}" has more than ${mostGroups} values here; choose one that groups the cases`;
}

// Bins stand by their edges and a missing value last; texts as in the diagnostics.
function inOrder(a: string, b: string, bins?: number[]): number {
  if (bins === undefined) return a < b ? -1 : 1;
  const names = [-Infinity, ...bins].map((edge) => binOf(edge, bins));
  const place = (name: string) => (names.includes(name) ? names.indexOf(name) : names.length);
  return place(a) - place(b);
}
