// difficulty: the worse an earlier model did on a case, the larger its factor; mean 1 over the
// cases that have a score. What is clipped is the difficulty (1 - dice + 0.01, or the loss).

import { sumOf } from '../sums.ts';
import { attributeTypeFaults, missingSentence, shown } from './attribute-checks.ts';
import type { TermKindRules } from './term-kind.ts';

export const difficulty: TermKindRules<'difficulty'> = {
  kind: 'difficulty',
  reads: (term) => [term.attribute],
  faults: (term, { attributes }) =>
    attributeTypeFaults(
      { name: term.attribute, types: ['number'], pointer: '/attribute' },
      attributes,
    ),
  factors: (term, cases, _, counted = cases.ids.length) => {
    const column = cases.columns[term.attribute] as (number | undefined)[];
    const wrong = column.findIndex((value) => value !== undefined && !inRange(value, term.measure));
    if (wrong >= 0) {
      const range = term.measure === 'dice' ? '0 to 1' : '0 or more';
      const detail = `case "${cases.ids[wrong]}" has ${term.attribute} ${column[wrong]}; a ${term.measure} is ${range}`;
      return [{ caseId: cases.ids[wrong], pointer: '/attribute', detail }];
    }
    // NaN stands for a missing value.
    const hardness = Float64Array.from(column, (value) => {
      if (value === undefined) return Number.NaN;
      return term.measure === 'dice' ? 1 - value + 0.01 : value;
    });
    const known = hardness.subarray(0, counted).filter((value) => !Number.isNaN(value));
    const clip = percentile(known, term.clipPercentile);
    const mean =
      sumOf(known.length, (k) => Math.min(known[k], clip) ** term.power) / known.length || 1;
    const factors = hardness.map((value) =>
      Number.isNaN(value) ? 1 : Math.min(value, clip) ** term.power / mean,
    );
    // All losses zero: none is harder than another.
    if (known.length > 0 && clip === 0 && term.power > 0) factors.fill(1);
    const because = (place: number) => {
      const value = column[place];
      if (value === undefined) return missingSentence(term.attribute);
      const cut = hardness[place] > clip ? `, clipped at percentile ${term.clipPercentile}` : '';
      const given = `${term.attribute} ${shown(value)} (${term.measure}${cut})`;
      return `${given}, power ${term.power}: factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};

function inRange(value: number, measure: 'dice' | 'loss'): boolean {
  return value >= 0 && (measure === 'loss' || value <= 1);
}

/** The percentile of values by linear interpolation between order statistics; infinite for none. */
export function percentile(values: Float64Array, percent: number): number {
  if (values.length === 0) return Infinity;
  const sorted = values.toSorted();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
