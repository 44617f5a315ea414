// Rules of one dataset on another: attributes of the same name may mean other things there.

import type { AttributeMap, AttributeSchema } from '../contract/attributes.ts';
import type { RuleDocument } from '../contract/rule-sets.ts';
import { unknownAttribute } from './attribute-names.ts';
import type { Fault } from './case-table.ts';
import { readsOf } from './rules.ts';

/**
 * A fault for each attribute that the rules read and that is missing in `to`, or is there of
 * another type, unit or kind of origin than in `from`, at the first place that reads it
 * (METHOD.md section 3).
 */
export function attributeDifferences(
  rules: RuleDocument,
  { from, to }: { from: AttributeMap; to: AttributeMap },
): Fault[] {
  return [...placesRead(rules, from)].flatMap(([name, pointer]) => {
    if (!Object.hasOwn(to, name)) return [{ pointer, detail: unknownAttribute(name, to) }];
    const here = described(to[name]);
    const there = described(from[name]);
    const different = (Object.keys(here) as (keyof typeof here)[])
      .filter((what) => here[what] !== there[what])
      .map((what) => `${what} is ${here[what]} here and ${there[what]} there`);
    if (different.length === 0) return [];
    return [{ pointer, detail: `attribute "${name}": its ${different.join(', its ')}` }];
  });
}

// Every attribute that the rules read with the pointer of the first place.
function placesRead(rules: RuleDocument, attributes: AttributeMap): Map<string, string> {
  const places = new Map<string, string>();
  const add = (name: string, pointer: string) => {
    if (!places.has(name)) places.set(name, pointer);
  };
  for (const { pointer, names } of readsOf(rules, attributes)) {
    for (const name of names) add(name, pointer);
  }
  for (const [k, name] of rules.groups.entries()) add(name, `/groups/${k}`);
  if (rules.adaptive !== null) add(rules.adaptive.attribute, '/adaptive/attribute');
  return places;
}

function described({ type, unit, origin }: AttributeSchema) {
  return {
    type,
    unit: unit ?? 'not stated',
    origin:
      typeof origin !== 'object'
        ? (origin ?? 'not stated')
        : `a model (${origin.evidence === 'outOfFold' ? 'out of fold' : 'in training'})`,
  };
}
