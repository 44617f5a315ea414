// Checks that several kinds of term share.

import type { AttributeMap } from '../../contract/attributes.ts';
import { unknownAttribute } from '../attribute-names.ts';
import type { Fault } from '../case-table.ts';

/** A fault when the attribute is not declared or has another type than these; else none. */
export function attributeTypeFaults(
  {
    name,
    types,
    pointer,
    hint = '',
  }: { name: string; types: string[]; pointer: string; hint?: string },
  attributes: AttributeMap,
): Fault[] {
  if (!Object.hasOwn(attributes, name)) {
    return [{ pointer, detail: unknownAttribute(name, attributes) }];
  }
  const { type } = attributes[name];
  if (types.includes(type)) return [];
  const wanted = types.join(' or ');
  return [{ pointer, detail: `attribute "${name}" is ${type}; ${wanted} is needed here${hint}` }];
}

/** Why a case that lacks an optional attribute has factor 1. */
export function missingSentence(name: string): string {
  return `"${name}" is missing: factor 1`;
}

/** A number as people read it. */
export function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
