// One expression over every case: rows are made one at a time from the columns that it reads.

import { type CaseTable, type Fault, maxFaults } from '../case-table.ts';
import { absentAttribute, compileExpression, type ExpressionType } from '../expressions.ts';
import type { TermContext } from './term-kind.ts';

/** The value of an expression for every case, or the cases where it has none. */
export function evaluatedCases(
  { text, type }: { text: string; type: ExpressionType },
  cases: CaseTable,
  { attributes, environment }: TermContext,
): { values: unknown[]; absent: Map<number, string> } | { faults: Fault[] } {
  const compiled = compileExpression(environment, { text, type, attributes });
  if (!compiled.ok) return { faults: [compiled.fault] };
  const { evaluate, reads } = compiled.expression;
  const columns = [...reads].map((name) => [name, cases.columns[name]] as const);
  const values: unknown[] = new Array(cases.ids.length);
  const absent = new Map<number, string>();
  const faults: Fault[] = [];
  for (let k = 0; k < values.length && faults.length < maxFaults; k++) {
    const row: Record<string, unknown> = {};
    for (const [name, column] of columns) {
      if (column[k] !== undefined) row[name] = column[k];
    }
    try {
      values[k] = evaluate(row);
    } catch (error) {
      const name = absentAttribute(error);
      if (name !== null && reads.has(name) && row[name] === undefined) absent.set(k, name);
      else faults.push(evaluationFault(cases.ids[k], text, error));
    }
  }
  return faults.length > 0 ? { faults } : { values, absent };
}

function evaluationFault(caseId: string, text: string, error: unknown): Fault {
  const { summary, message = '' } = error as { summary?: string; message?: string };
  const why = summary ?? message.split('\n')[0];
  return { caseId, detail: `case "${caseId}": ${text} cannot be evaluated: ${why}` };
}
