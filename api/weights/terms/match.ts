// match: a factor where a condition is true, another one elsewhere.

import { compileExpression } from '../expressions.ts';
import { missingSentence, shown } from './attribute-checks.ts';
import { evaluatedCases } from './evaluated-cases.ts';
import type { TermKindRules } from './term-kind.ts';

export const match: TermKindRules<'match'> = {
  kind: 'match',
  reads: (term, { attributes, environment }) => {
    const compiled = compileExpression(environment, { text: term.when, type: 'bool', attributes });
    return compiled.ok ? compiled.expression.reads : [];
  },
  faults: (term, { attributes, environment }) => {
    const compiled = compileExpression(environment, { text: term.when, type: 'bool', attributes });
    return compiled.ok ? [] : [{ ...compiled.fault, pointer: '/when' }];
  },
  factors: (term, cases, context) => {
    const input = { text: term.when, type: 'bool' as const };
    const evaluated = evaluatedCases(input, cases, context);
    if ('faults' in evaluated) {
      return evaluated.faults.map((fault) => ({ ...fault, pointer: '/when' }));
    }
    const { values, absent } = evaluated;
    const factors = Float64Array.from(values, (held, k) => {
      if (absent.has(k)) return 1;
      return held ? term.factor : term.otherwise;
    });
    const because = (place: number) => {
      const name = absent.get(place);
      if (name !== undefined) return missingSentence(name);
      return `${term.when} is ${values[place]}: factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};
