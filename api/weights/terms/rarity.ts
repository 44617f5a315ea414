// rarity: the rarer a case's group, the larger its factor; the mean over cases is 1. Groups are
// numbered, not named: texts joined to a key could make two groups one.

import type { TermOf } from '../../contract/rule-sets.ts';
import type { CaseTable } from '../case-table.ts';
import { sumOf } from '../sums.ts';
import { attributeTypeFaults, missingSentence, shown } from './attribute-checks.ts';
import type { TermKindRules } from './term-kind.ts';

type By = TermOf<'rarity'>['by'][number];
const nameOf = (by: By) => (typeof by === 'string' ? by : by.attribute);

/** The group of every case as a number, -1 where an attribute is missing; groups by number. */
type Grouping = { group: Int32Array; names: string[] };

export const rarity: TermKindRules<'rarity'> = {
  kind: 'rarity',
  reads: (term) => term.by.map(nameOf),
  faults: (term, { attributes }) =>
    term.by.flatMap((by, k) => {
      const plain = typeof by === 'string';
      const input = {
        name: nameOf(by),
        types: plain ? ['string', 'boolean', 'labels'] : ['number'],
        pointer: plain ? `/by/${k}` : `/by/${k}/attribute`,
        hint: plain ? '; a number needs bins: {"attribute": NAME, "bins": [EDGES]}' : '',
      };
      return attributeTypeFaults(input, attributes);
    }),
  factors: (term, cases, _, counted = cases.ids.length) => {
    const { group, names } = crossProduct(term.by.map((by) => groupsBy(by, cases, counted)));
    const counts = new Int32Array(names.length);
    let known = 0;
    for (const number of group.subarray(0, counted)) {
      if (number < 0) continue;
      known++;
      counts[number]++;
    }
    const raw = Float64Array.from(counts, (count) => groupFactor(term, count, known));
    const mean =
      known === 0 ? 1 : sumOf(raw.length, (number) => raw[number] * counts[number]) / known;
    const factors = Float64Array.from(group, (number) => (number < 0 ? 1 : raw[number] / mean));
    const because = (place: number) => {
      const number = group[place];
      if (number < 0) return missingSentence(absentName(term.by, cases, place));
      const how = term.method === 'inverse-frequency' ? `power ${term.power}` : `beta ${term.beta}`;
      const share = `${names[number]} in ${counts[number]} of ${known} cases`;
      return `${share}, ${how}: factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};

function groupFactor(term: TermOf<'rarity'>, size: number, known: number): number {
  // A group that is met outside of the counted cases only is as rare as the rarest of them.
  const count = Math.max(1, size);
  if (term.method === 'inverse-frequency') {
    return ((count + term.smoothing) / known) ** -(term.power as number);
  }
  const beta = term.beta as number;
  // (1 - beta) / (1 - beta^n) without cancellation for a beta near 1.
  return beta === 0 ? 1 : (1 - beta) / -Math.expm1(count * Math.log1p(beta - 1));
}

function absentName(by: By[], cases: CaseTable, place: number): string {
  const missing = by.find((part) => cases.columns[nameOf(part)][place] === undefined);
  return nameOf(missing as By);
}

function crossProduct(parts: Grouping[]): Grouping {
  return parts.reduce((left, right) => {
    const names: string[] = [];
    const numbers = new Map<number, number>();
    const group = left.group.map((a, k) => {
      const b = right.group[k];
      if (a < 0 || b < 0) return -1;
      return numbered(a * right.names.length + b, numbers, () =>
        names.push(`${left.names[a]}, ${right.names[b]}`),
      );
    });
    return { group, names };
  });
}

function numbered<Key>(key: Key, numbers: Map<Key, number>, onNew: () => void): number {
  const known = numbers.get(key);
  if (known !== undefined) return known;
  onNew();
  numbers.set(key, numbers.size);
  return numbers.size - 1;
}

function groupsBy(by: By, cases: CaseTable, counted: number): Grouping {
  const name = nameOf(by);
  const column = cases.columns[name];
  if (typeof by !== 'string') {
    return grouping(column, (value) => `${name} ${binOf(value as number, by.bins)}`);
  }
  if (!column.some(Array.isArray)) return grouping(column, (value) => `${name}=${value}`);
  const rarest = rarestLabels(column as (string[] | undefined)[], counted);
  return grouping(rarest, (label) => (label === null ? `${name} empty` : `${name}=${label}`));
}

function grouping(column: unknown[], nameOfValue: (value: unknown) => string): Grouping {
  const names: string[] = [];
  const numbers = new Map<string, number>();
  const group = Int32Array.from(column, (value) => {
    if (value === undefined) return -1;
    const name = nameOfValue(value);
    return numbered(name, numbers, () => names.push(name));
  });
  return { group, names };
}

/** The name of a number's bin between ascending edges: it holds its lower one, not its upper. */
export function binOf(value: number, edges: number[]): string {
  const above = edges.filter((edge) => value >= edge).length;
  if (above === 0) return `< ${edges[0]}`;
  return above === edges.length
    ? `>= ${edges[above - 1]}`
    : `${edges[above - 1]} to ${edges[above]}`;
}

// A label set counts as its rarest label present, ties by name; null for an empty one.
function rarestLabels(
  column: (string[] | undefined)[],
  counted: number,
): (string | null | undefined)[] {
  const counts = new Map<string, number>();
  for (const labels of column.slice(0, counted)) {
    for (const label of labels ?? []) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const rarer = (a: string, b: string) => {
    const difference = (counts.get(a) ?? 0) - (counts.get(b) ?? 0);
    return difference < 0 || (difference === 0 && a < b) ? a : b;
  };
  return column.map((labels) => {
    if (labels === undefined) return undefined;
    return labels.length === 0 ? null : labels.reduce(rarer);
  });
}
