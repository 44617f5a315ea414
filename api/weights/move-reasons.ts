// Why a case is drawn more or less often in one snapshot than in another, in a sentence: its own
// factors, its bounds, and what holds for all cases.

import type { ExplainedTerm } from './resolve.ts';
import { shown } from './terms/attribute-checks.ts';

/** A term whose factor for a case differs; null where the rules have no such term. */
export type MovedTerm = {
  name: string;
  list: 'target' | 'sampling';
  from: number | null;
  to: number | null;
};

/** What decides on a case's draw probability in one snapshot, its terms aside. */
export type MovedSide = {
  drawProbability: number;
  boundedBy: 'floor' | 'cap' | null;
  header: { caseCount: number; floor: number; cap: number; temper: number };
};

// Two factors of this relative difference are one: METHOD.md section 5 compares explanations so.
const tolerance = 1e-9;

/** The terms whose factor differs, in the order of the newer rules and then of the older. */
export function movedTerms(from: ExplainedTerm[], to: ExplainedTerm[]): MovedTerm[] {
  const factorIn = (terms: ExplainedTerm[], { name, list }: ExplainedTerm) =>
    terms.find((term) => term.name === name && term.list === list)?.factor ?? null;
  const gone = from.filter((term) => factorIn(to, term) === null);
  return [...to, ...gone]
    .map((term) => ({
      name: term.name,
      list: term.list,
      from: factorIn(from, term),
      to: factorIn(to, term),
    }))
    .filter(differs);
}

function differs({ from, to }: MovedTerm): boolean {
  if (from === null || to === null) return from !== to;
  return Math.abs(from - to) > tolerance * Math.max(Math.abs(from), Math.abs(to));
}

/** The sentence for a case that is in both snapshots. */
export function movedBecause(from: MovedSide, to: MovedSide, terms: MovedTerm[]): string {
  const ratio = to.drawProbability / from.drawProbability;
  const reasons = [
    ...terms.map(termReason),
    ...(['temper', 'floor', 'cap'] as const).flatMap((name) => {
      const [before, after] = [from.header[name], to.header[name]];
      return before === after ? [] : [`the ${name} went from ${shown(before)} to ${shown(after)}`];
    }),
    ...boundReasons(from, to),
    ...countReasons(from.header.caseCount, to.header.caseCount),
  ];
  const why = reasons.length > 0 ? reasons.join('; ') : 'only factors of other cases differ';
  return `Drawn ${shown(ratio)} times as often: ${why}.`;
}

/** The sentence for a case that one snapshot leaves out, with the reason of that. */
export function presentBecause(missing: 'from' | 'to', reason: string): string {
  return `${missing === 'from' ? 'Drawn only in the second' : 'Drawn only in the first'}; in the other it is left out: ${reason}.`;
}

function termReason({ name, list, from, to }: MovedTerm): string {
  const term = `${list} term "${name}"`;
  if (from === null) return `${term} is new, with factor ${shown(to as number)}`;
  if (to === null) return `${term}, which had factor ${shown(from)}, is gone`;
  return `${term} went from factor ${shown(from)} to ${shown(to)}`;
}

function boundReasons(from: MovedSide, to: MovedSide): string[] {
  if (from.boundedBy === to.boundedBy) {
    return to.boundedBy === null ? [] : [`it is at the ${to.boundedBy} in both`];
  }
  const reached = to.boundedBy === null ? [] : [`it has come to the ${to.boundedBy}`];
  return from.boundedBy === null ? reached : [`it has left the ${from.boundedBy}`, ...reached];
}

function countReasons(from: number, to: number): string[] {
  return from === to ? [] : [`it shares the draws with ${to} cases instead of ${from}`];
}
