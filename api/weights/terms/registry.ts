// Every kind of term, by name.

import type { Term, TermKind } from '../../contract/rule-sets.ts';
import { difficulty } from './difficulty.ts';
import { formula } from './formula.ts';
import { match } from './match.ts';
import { quality } from './quality.ts';
import { rarity } from './rarity.ts';
import type { AnyTermKind, TermKindRules } from './term-kind.ts';

export const termKinds: AnyTermKind = { match, formula, rarity, quality, difficulty };

/** The rules of a term's kind. */
export function kindOf(term: Term): TermKindRules {
  return termKinds[term.kind as TermKind] as TermKindRules;
}
