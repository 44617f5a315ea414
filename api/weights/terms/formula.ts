// formula: the value of an expression. A negative or non-finite value is an error naming the case.

import { compileExpression } from '../expressions.ts';
import { shown } from './attribute-checks.ts';
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
    if ('faults' in evaluated) return evaluated.faults;
    const factors = Float64Array.from(evaluated.values as number[]);
    const faults = [];
    for (let k = 0; k < factors.length && faults.length < 100; k++) {
      if (factors[k] >= 0 && factors[k] < Infinity) continue;
      const caseId = cases.ids[k];
      faults.push({
        caseId,
        pointer: '/expression',
        detail: `case "${caseId}": the formula gives ${factors[k]}; a factor is finite and not negative`,
      });
    }
    if (faults.length > 0) return faults;
    return { factors, because: (place) => `${term.expression} = ${shown(factors[place])}` };
  },
};
