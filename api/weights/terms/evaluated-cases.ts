// One expression over every case: rows are made one at a time from the columns that it reads.

import type { CaseTable, Fault } from '../case-table.ts';
import { compileExpression, type ExpressionType } from '../expressions.ts';
import type { TermContext } from './term-kind.ts';

/** The value of an expression for every case, or the cases where it has none. */
export function evaluatedCases(
  { text, type }: { text: string; type: ExpressionType },
  cases: CaseTable,
  { attributes, environment }: TermContext,
): { values: unknown[] } | { faults: Fault[] } {
  const compiled = compileExpression(environment, { text, type, attributes });
  if (!compiled.ok) return { faults: [compiled.fault] };
  const { evaluate, reads } = compiled.expression;
  const columns = [...reads].map((name) => [name, cases.columns[name]] as const);
  const values: unknown[] = new Array(cases.ids.length);
  const faults: Fault[] = [];
  for (let k = 0; k < values.length && faults.length < 100; k++) {
    const row: Record<string, unknown> = {};
    for (const [name, column] of columns) {
      if (column[k] !== undefined) row[name] = column[k];
    }
    try {
      values[k] = evaluate(row);
    } catch {
      const absent = columns.filter(([name]) => row[name] === undefined).map(([name]) => name);
      const caseId = cases.ids[k];
      const why =
        absent.length > 0
          ? `has no ${absent.map((name) => `"${name}"`).join(', ')}; ask has(case.${absent[0]}) first`
          : 'cannot be evaluated';
      faults.push({ caseId, detail: `case "${caseId}" ${why}: ${text}` });
    }
  }
  return faults.length > 0 ? { faults } : { values };
}
