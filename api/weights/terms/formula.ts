// formula: the value of an expression. A negative or non-finite value is an error naming the case.

import { compileExpression } from '../expressions.ts';
import { missingSentence, shown } from './attribute-checks.ts';
import { evaluatedCases } from './evaluated-cases.ts';
import type { TermKindRules } from './term-kind.ts';

export const formula: TermKindRules<'formula'> = {
  kind: 'formula',
  reads: (term, { attributes, environment }) => {
    const input = { text: term.expression, type: 'double' as const, attributes };
    const compiled = compileExpression(environment, input);
    return compiled.ok ? compiled.expression.reads : [];
  },
  faults: (term, { attributes, environment }) => {
    const input = { text: term.expression, type: 'double' as const, attributes };
    const compiled = compileExpression(environment, input);
    return compiled.ok ? [] : [{ ...compiled.fault, pointer: '/expression' }];
  },
  factors: (term, cases, context) => {
    const input = { text: term.expression, type: 'double' as const };
    const evaluated = evaluatedCases(input, cases, context);
    if ('faults' in evaluated) {
      return evaluated.faults.map((fault) => ({ ...fault, pointer: '/expression' }));
    }
    const { values, absent } = evaluated;
    const factors = Float64Array.from(values, (value, k) => (absent.has(k) ? 1 : Number(value)));
    const because = (place: number) => {
      const name = absent.get(place);
      if (name !== undefined) return missingSentence(name);
      return `${term.expression} gives factor ${shown(factors[place])}`;
    };
    return { factors, because };
  },
};
