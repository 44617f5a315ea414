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

/** What each exclusion and each term reads, with its JSON pointer. */
export function readsOf(
  rules: RuleDocument,
  attributes: AttributeMap,
): { pointer: string; names: Set<string> }[] {
  const context = termContext(attributes);
  const excluded = rules.exclude.map(({ when }, k) => {
    const compiled = compiledCondition(when, context);
    const names = compiled.ok ? compiled.expression.reads : new Set<string>();
    return { pointer: `/exclude/${k}/when`, names };
  });
  const terms = placedTerms(rules).map(({ term, pointer }) => ({
    pointer,
    names: new Set(kindOf(term).reads(term as never, context)),
  }));
  return [...excluded, ...terms];
}

const compiledCondition = (text: string, { attributes, environment }: TermContext) =>
  compileExpression(environment, { text, type: 'bool', attributes });

/** The attributes that rules read, reporting groups included: what a case table must hold. */
export function attributesRead(rules: RuleDocument, attributes: AttributeMap): Set<string> {
  const names = new Set(rules.groups);
  for (const read of readsOf(rules, attributes)) {
    for (const name of read.names) names.add(name);
  }
  return names;
}

/**
 * Every fault of a rule document against a dataset's attributes, each with a JSON pointer into the
 * document and, in expressions, a character range; empty when it is sound (METHOD.md section 3).
 */
export function checkRules(
  rules: RuleDocument,
  attributes: AttributeMap,
): (Fault & { pointer: string })[] {
  const context = termContext(attributes);
  const excluded = rules.exclude.flatMap(({ when }, k) => {
    const compiled = compiledCondition(when, context);
    return compiled.ok ? [] : [{ ...compiled.fault, pointer: `/exclude/${k}/when` }];
  });
  const groups = rules.groups.flatMap((name, k) =>
    attributeTypeFaults(
      { name, types: ['string', 'boolean', 'labels'], pointer: `/groups/${k}` },
      attributes,
    ),
  );
  const terms = placedTerms(rules).flatMap(({ term, list, pointer }) => [
    ...kindOf(term)
      .faults(term as never, context)
      .map(under(pointer)),
    ...(list === 'target' ? zeroFactors(term).map(under(pointer)) : []),
  ]);
  const faults = [...excluded, ...groups, ...terms, ...adaptiveFaults(rules, attributes)];
  return faults.map(under(''));
}

const under = (pointer: string) => (fault: Fault) => ({
  ...fault,
  pointer: pointer + (fault.pointer ?? ''),
});

// A target is never zero (METHOD.md section 3): factors that can be seen to be 0 without any case.
function zeroFactors(term: Term): Fault[] {
  const detail = 'a target factor is above 0; use exclude to leave cases out';
  const fields =
    term.kind === 'match'
      ? { factor: term.factor, otherwise: term.otherwise }
      : term.kind === 'quality'
        ? { factorAtFrom: term.factorAtFrom, factorAtTo: term.factorAtTo }
        : {};
  return Object.entries(fields)
    .filter(([, factor]) => factor === 0)
    .map(([name]) => ({ pointer: `/${name}`, detail }));
}

// The objective never moves during a run (METHOD.md section 8): neither the target of a case nor
// which cases there are may read evidence of that run.
function adaptiveFaults(rules: RuleDocument, attributes: AttributeMap): Fault[] {
  if (rules.adaptive === null) return [];
  const name = rules.adaptive.attribute;
  const pointer = '/adaptive/attribute';
  const input = { name, types: ['number'], pointer };
  const needed = `"${name}" is required of every case, but a run fills it in: declare it required: false, so that terms reading it have factor 1 until then`;
  const required = attributes[name]?.type === 'number' && attributes[name].required !== false;
  const moving = readsOf(rules, attributes)
    .filter((read) => !read.pointer.startsWith('/sampling/') && read.names.has(name))
    .map((read) => ({
      pointer: read.pointer,
      detail: `"${name}" changes during the run, so only sampling terms may read it: the objective never moves`,
    }));
  return [
    ...attributeTypeFaults(input, attributes),
    ...(required ? [{ pointer, detail: needed }] : []),
    ...moving,
  ];
}
