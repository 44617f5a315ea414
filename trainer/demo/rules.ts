// The demo's two rule sets. The weighted one is chosen from what was measured, so that on any
// folder something is really weighted: rare label sets where labels differ, else cases whose
// smallest class is unusually small or large.

import type { CaseLine } from '../scan/measure.ts';

export type Rules = Record<string, unknown>;

/** Every case drawn alike. */
export function uniformRules(lines: CaseLine[]): Rules {
  return { groups: groupsOf(lines) };
}

/** Rare cases more often, poor quality less often, the loss corrected. */
export function weightedRules(lines: CaseLine[]): Rules {
  const rarity = labelSets(lines) > 1 ? rareLabels : rareVolumes(lines);
  const terms = [rarity, ...qualityTerm(lines)];
  return {
    groups: groupsOf(lines),
    sampling: { terms, floor: 0.2, cap: 5 },
    correction: { strength: 1 },
  };
}

/** Terms as people read them, a line each. */
export function rulesText(rules: Rules): string {
  const { terms = [] } = (rules.sampling ?? {}) as { terms?: Record<string, unknown>[] };
  if (terms.length === 0) return 'no terms: every case is drawn alike';
  return terms.map(({ name, ...term }) => `${name}: ${JSON.stringify(term)}`).join('\n');
}

const labelSets = (lines: CaseLine[]) =>
  new Set(lines.map(({ attributes }) => [...(attributes.labels as string[])].sort().join('+')))
    .size;

const groupsOf = (lines: CaseLine[]) => (labelSets(lines) > 1 ? ['labels'] : []);

const rareLabels = {
  name: 'rare labels',
  kind: 'rarity',
  by: ['labels'],
  method: 'inverse-frequency',
  power: 0.5,
};

function rareVolumes(lines: CaseLine[]): object {
  const names = Object.keys(lines[0].attributes).filter((name) => name.startsWith('volumeMl_'));
  const mean = (name: string) => valuesOf(lines, name).reduce((a, b) => a + b, 0);
  const smallest = names.sort((a, b) => mean(a) - mean(b))[0];
  const sorted = valuesOf(lines, smallest).sort((a, b) => a - b);
  const edges = [quantile(sorted, 0.1), quantile(sorted, 0.9)];
  const bins = edges[0] < edges[1] ? edges : [edges[0]];
  const by = [{ attribute: smallest, bins }];
  return { name: 'unusual volumes', kind: 'rarity', by, method: 'inverse-frequency', power: 0.5 };
}

function qualityTerm(lines: CaseLine[]): object[] {
  const attribute = Object.keys(lines[0].attributes).find((name) => /^quality(_|$)/.test(name));
  if (attribute === undefined) return [];
  const sorted = valuesOf(lines, attribute).sort((a, b) => a - b);
  const [from, to] = [quantile(sorted, 0.05), quantile(sorted, 0.5)];
  if (from >= to) return [];
  return [
    {
      name: 'image quality',
      kind: 'quality',
      attribute,
      from,
      to,
      factorAtFrom: 0.5,
      factorAtTo: 1,
    },
  ];
}

const valuesOf = (lines: CaseLine[], name: string) =>
  lines.map(({ attributes }) => attributes[name] as number);

function quantile(sorted: number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))];
}
