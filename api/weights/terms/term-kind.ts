// What a kind of term is. A new kind is one file that exports such an object and one line in the
// registry.

import type { Environment } from '@marcbachmann/cel-js';
import type { AttributeMap } from '../../contract/attributes.ts';
import type { Term, TermKind, TermOf } from '../../contract/rule-sets.ts';
import type { CaseTable, Fault } from '../case-table.ts';

export type TermContext = { attributes: AttributeMap; environment: Environment };

/** The factors of one term over a table, and the sentence that explains one of them. */
export type TermResult = {
  /** One factor per case, in the table's order. */
  factors: Float64Array;
  /** Why the case at this place got its factor, with the numbers that made it. */
  because: (place: number) => string;
};

export interface TermKindRules<Kind extends TermKind = TermKind> {
  readonly kind: Kind;
  /** Attributes that the term reads. */
  reads(term: TermOf<Kind>, context: TermContext): Iterable<string>;
  /** What is wrong with the term; pointers are relative to it. */
  faults(term: TermOf<Kind>, context: TermContext): Fault[];
  /**
   * Factors of every case, or the cases for which there is none. What depends on the other cases
   * (group sizes, percentiles, means) comes from the first `counted` of them; left out, from all.
   */
  factors(
    term: TermOf<Kind>,
    cases: CaseTable,
    context: TermContext,
    counted?: number,
  ): TermResult | Fault[];
}

export type AnyTermKind = { [Kind in Term['kind']]: TermKindRules<Kind> };
