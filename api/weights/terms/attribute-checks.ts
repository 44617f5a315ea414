// Checks that several kinds of term share.

import type { AttributeMap } from '../../contract/attributes.ts';
import type { Fault } from '../case-table.ts';
import { unknownAttribute } from '../expressions.ts';

/** A fault when the attribute is not declared or has another type than these; else none. */
export function attributeTypeFaults(
  { name, types, pointer }: { name: string; types: string[]; pointer: string },
  attributes: AttributeMap,
): Fault[] {
  if (!Object.hasOwn(attributes, name)) {
    return [{ pointer, detail: unknownAttribute(name, attributes) }];
  }
  const { type } = attributes[name];
  if (types.includes(type)) return [];
  return [
    { pointer, detail: `attribute "${name}" is ${type}; ${types.join(' or ')} is needed here` },
  ];
}

/** A number as people read it. */
export function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
