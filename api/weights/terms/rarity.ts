// rarity: the rarer a case's group, the larger its factor; the mean over cases is 1.

import type { TermOf } from '../../contract/rule-sets.ts';
import type { CaseTable } from '../case-table.ts';
import { sumOf } from '../sums.ts';
import { attributeTypeFaults, shown } from './attribute-checks.ts';
import type { TermKindRules } from './term-kind.ts';

type By = TermOf<'rarity'>['by'][number];
const nameOf = (by: By) => (typeof by === 'string' ? by : by.attribute);

export const rarity: TermKindRules<'rarity'> = {
  kind: 'rarity',
  reads: (term) => term.by.map(nameOf),
  faults: (term, { attributes }) =>
    term.by.flatMap((by, k) =>
      attributeTypeFaults(
        {
          name: nameOf(by),
          types: typeof by === 'string' ? ['string', 'boolean', 'labels'] : ['number'],
          pointer: `/by/${k}`,
        },
        attributes,
      ),
    ),
  factors: (term, cases) => {
    const groups = caseGroups(term.by, cases);
    const counts = new Map<string, number>();
    let known = 0;
    for (const group of groups) {
      if (group === null) continue;
      known++;
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    const raw = Float64Array.from(groups, (group) =>
      group === null ? 0 : groupFactor(term, counts.get(group) as number, known),
    );
    const mean = known === 0 ? 1 : sumOf(raw.length, (k) => raw[k]) / known;
    const factors = raw.map((value, k) => (groups[k] === null ? 1 : value / mean));
    return {
      factors,
      because: (place) => sentence(term, groups[place], counts, known, factors[place]),
    };
  },
};

function groupFactor(term: TermOf<'rarity'>, count: number, known: number): number {
  if (term.method === 'inverse-frequency') {
    return ((count + term.smoothing) / known) ** -(term.power as number);
  }
  const beta = term.beta as number;
  return (1 - beta) / (1 - beta ** count);
}

// The group of every case; null where an attribute is missing, which gives factor 1.
function caseGroups(by: By[], cases: CaseTable): (string | null)[] {
  const keys = by.map((part) => groupKeys(part, cases));
  return cases.ids.map((_, k) => {
    const parts = keys.map((column) => column[k]);
    return parts.includes(null) ? null : parts.join(', ');
  });
}

function groupKeys(by: By, cases: CaseTable): (string | null)[] {
  const name = nameOf(by);
  const column = cases.columns[name];
  if (typeof by !== 'string') {
    return column.map((value) =>
      value === undefined ? null : `${name} ${binOf(value as number, by.bins)}`,
    );
  }
  if (column.some(Array.isArray)) return rarestLabels(name, column as (string[] | undefined)[]);
  return column.map((value) => (value === undefined ? null : `${name}=${value}`));
}

function binOf(value: number, edges: number[]): string {
  const above = edges.filter((edge) => value >= edge).length;
  if (above === 0) return `< ${edges[0]}`;
  return above === edges.length
    ? `>= ${edges[above - 1]}`
    : `${edges[above - 1]} to ${edges[above]}`;
}

// A label set counts as its rarest label present, ties by name; an empty one is a group of its own.
function rarestLabels(name: string, column: (string[] | undefined)[]): (string | null)[] {
  const counts = new Map<string, number>();
  for (const labels of column) {
    for (const label of labels ?? []) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const rarer = (a: string, b: string) => {
    const difference = (counts.get(a) as number) - (counts.get(b) as number);
    return difference < 0 || (difference === 0 && a < b) ? a : b;
  };
  return column.map((labels) => {
    if (labels === undefined) return null;
    return labels.length === 0 ? `${name} empty` : `${name}=${labels.reduce(rarer)}`;
  });
}

function sentence(
  term: TermOf<'rarity'>,
  group: string | null,
  counts: Map<string, number>,
  known: number,
  factor: number,
): string {
  if (group === null) return 'an attribute it reads is missing: factor 1';
  const how = term.method === 'inverse-frequency' ? `power ${term.power}` : `beta ${term.beta}`;
  return `${group} in ${counts.get(group)} of ${known} cases, ${how}: factor ${shown(factor)}`;
}
