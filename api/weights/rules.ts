// A rule document against an attribute schema: what it reads, and what is wrong with it.

import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument, Term } from '../contract/rule-sets.ts';
import type { Fault } from './case-table.ts';
import { compileExpression, expressionEnvironment } from './expressions.ts';
import { attributeTypeFaults } from './terms/attribute-checks.ts';
import { kindOf } from './terms/registry.ts';
import type { TermContext } from './terms/term-kind.ts';

/** What term kinds are given. */
export function termContext(attributes: AttributeMap): TermContext {
  return { attributes, environment: expressionEnvironment(attributes) };
}

type Placed = { term: Term; list: 'target' | 'sampling'; pointer: string };

/** Every term with the list it stands in and its JSON pointer. */
export function placedTerms(rules: RuleDocument): Placed[] {
  const placed = (list: 'target' | 'sampling') =>
    rules[list].terms.map((term, k) => ({ term, list, pointer: `/${list}/terms/${k}` }));
  return [...placed('target'), ...placed('sampling')];
}

/** The attributes that rules read, reporting groups included. */
export function attributesRead(rules: RuleDocument, attributes: AttributeMap): Set<string> {
  const context = termContext(attributes);
  const names = new Set<string>(rules.groups);
  for (const { when } of rules.exclude) {
    const compiled = compileExpression(context.environment, {
      text: when,
      type: 'bool',
      attributes,
    });
    if (compiled.ok) for (const name of compiled.expression.reads) names.add(name);
  }
  for (const { term } of placedTerms(rules)) {
    for (const name of kindOf(term).reads(term as never, context)) names.add(name);
  }
  return names;
}

/** Every fault of a rule document against a dataset's attributes; empty when it is sound. */
export function checkRules(
  rules: RuleDocument,
  attributes: AttributeMap,
): (Fault & { pointer: string })[] {
  const context = termContext(attributes);
  const excluded = rules.exclude.flatMap(({ when }, k) => {
    const compiled = compileExpression(context.environment, {
      text: when,
      type: 'bool',
      attributes,
    });
    return compiled.ok ? [] : [{ ...compiled.fault, pointer: `/exclude/${k}/when` }];
  });
  const groups = rules.groups.flatMap((name, k) =>
    attributeTypeFaults(
      { name, types: ['string', 'boolean', 'labels'], pointer: `/groups/${k}` },
      attributes,
    ),
  );
  const terms = placedTerms(rules).flatMap(({ term, list, pointer }) => {
    const faults = kindOf(term).faults(term as never, context);
    return [...faults, ...(list === 'target' ? targetFaults(term, rules, context) : [])].map(
      (fault) => ({
        ...fault,
        pointer: `${pointer}${fault.pointer ?? ''}`,
      }),
    );
  });
  return [...excluded, ...groups, ...terms, ...adaptiveFaults(rules, attributes)] as (Fault & {
    pointer: string;
  })[];
}

// The objective never moves during a run (METHOD.md section 8), and a target is never zero (section 3).
function targetFaults(term: Term, rules: RuleDocument, context: TermContext): Fault[] {
  const faults: Fault[] = [];
  const evidence = rules.adaptive?.attribute;
  const reads = [...kindOf(term).reads(term as never, context)];
  if (evidence !== undefined && reads.includes(evidence)) {
    faults.push({
      detail: `a target term may not read "${evidence}", which changes during the run: the objective never moves`,
    });
  }
  if (term.kind === 'match' && (term.factor === 0 || term.otherwise === 0)) {
    const pointer = term.factor === 0 ? '/factor' : '/otherwise';
    faults.push({ pointer, detail: 'a target factor is above 0; use exclude to leave cases out' });
  }
  return faults;
}

function adaptiveFaults({ adaptive }: RuleDocument, attributes: AttributeMap): Fault[] {
  if (adaptive === null) return [];
  const input = { name: adaptive.attribute, types: ['number'], pointer: '/adaptive/attribute' };
  return attributeTypeFaults(input, attributes);
}
