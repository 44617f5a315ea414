// difficulty: the worse an earlier model did on a case, the larger its factor; mean 1 over the cases
// that have a score.

import { sumOf } from '../sums.ts';
import { attributeTypeFaults, shown } from './attribute-checks.ts';
import type { TermKindRules } from './term-kind.ts';

export const difficulty: TermKindRules<'difficulty'> = {
  kind: 'difficulty',
  reads: (term) => [term.attribute],
  faults: (term, { attributes }) =>
    attributeTypeFaults(
      { name: term.attribute, types: ['number'], pointer: '/attribute' },
      attributes,
    ),
  factors: (term, cases) => {
    const column = cases.columns[term.attribute] as (number | undefined)[];
    const wrong = column.findIndex((value) => value !== undefined && !inRange(value, term.measure));
    if (wrong >= 0) {
      const range = term.measure === 'dice' ? '0 to 1' : '0 or more';
      const detail = `case "${cases.ids[wrong]}" has ${term.attribute} ${column[wrong]}; a ${term.measure} is ${range}`;
      return [{ caseId: cases.ids[wrong], pointer: '/attribute', detail }];
    }
    const hardness = column.map((value) =>
      value === undefined ? undefined : term.measure === 'dice' ? 1 - value + 0.01 : value,
    );
    const clip = percentile(
      hardness.filter((value) => value !== undefined),
      term.clipPercentile,
    );
    const raw = hardness.map((value) =>
      value === undefined ? undefined : Math.min(value, clip) ** term.power,
    );
    const known = raw.filter((value) => value !== undefined);
    const mean = known.length === 0 ? 1 : sumOf(known.length, (k) => known[k]) / known.length;
    const factors = Float64Array.from(raw, (value) =>
      value === undefined || mean === 0 ? 1 : value / mean,
    );
    const because = (place: number) => {
      const value = column[place];
      if (value === undefined) return `"${term.attribute}" is missing: factor 1`;
      return `${term.attribute} ${shown(value)} (${term.measure}, clipped at percentile ${term.clipPercentile}), power ${term.power}: factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};

function inRange(value: number, measure: 'dice' | 'loss'): boolean {
  return value >= 0 && (measure === 'loss' || value <= 1);
}

/** The percentile of values by linear interpolation between order statistics. */
export function percentile(values: number[], percent: number): number {
  if (values.length === 0) return Infinity;
  const sorted = Float64Array.from(values).sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
