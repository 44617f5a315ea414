// quality: linear between two values of a number, constant outside.

import { attributeTypeFaults, missingSentence, shown } from './attribute-checks.ts';
import type { TermKindRules } from './term-kind.ts';

export const quality: TermKindRules<'quality'> = {
  kind: 'quality',
  reads: (term) => [term.attribute],
  faults: (term, { attributes }) =>
    attributeTypeFaults(
      { name: term.attribute, types: ['number'], pointer: '/attribute' },
      attributes,
    ),
  factors: (term, cases) => {
    const column = cases.columns[term.attribute] as (number | undefined)[];
    const factors = Float64Array.from(column, (value) => {
      if (value === undefined) return 1;
      const share = Math.min(1, Math.max(0, (value - term.from) / (term.to - term.from)));
      return term.factorAtFrom * (1 - share) + term.factorAtTo * share;
    });
    const because = (place: number) => {
      const value = column[place];
      if (value === undefined) return missingSentence(term.attribute);
      const from = `${term.from} (factor ${term.factorAtFrom})`;
      const to = `${term.to} (factor ${term.factorAtTo})`;
      const scale = `on the scale from ${from} to ${to}`;
      return `${term.attribute} ${shown(value)} ${scale}: factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};
