// One term over a small table, and how its factors are compared.

import { expect } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import { type AppliedTerm, rulesApplied } from '../../api/weights/rules-applied.ts';
import { type AttributesInput, refused, ruled, table } from './cases.ts';

export type TermInput = NonNullable<NonNullable<RuleDocumentInput['sampling']>['terms']>[number];
type Columns = Record<string, unknown[]>;

/** One sampling term on these columns. */
export function applied(
  attributes: AttributesInput,
  columns: Columns,
  term: TermInput,
): AppliedTerm {
  const input = ruled(attributes, { sampling: { terms: [term] } });
  const result = rulesApplied({ ...input, cases: table(columns) });
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result.terms[0];
}

export const factors = (attributes: AttributesInput, columns: Columns, term: TermInput) => [
  ...applied(attributes, columns, term).factors,
];
export const faults = (attributes: AttributesInput, columns: Columns, term: TermInput) =>
  refused({ ...ruled(attributes, { sampling: { terms: [term] } }), cases: table(columns) });

export const close = (values: number[]) => values.map((value) => expect.closeTo(value, 12));
export const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;

export const number = { type: 'number' } as const;
export const optional = { type: 'number', required: false } as const;
export const site = { site: { type: 'string' } } as const;
