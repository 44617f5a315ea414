// The typed attributes of a case, and the check that every uploaded line passes. The check is
// plain code, not zod: it runs a million times per upload.

import { z } from 'zod';
import { isStorableText } from './shared.ts';

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** A name that an expression can read as `case.NAME`: a CEL identifier (METHOD.md section 3). */
export const attributeNameSchema = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,99}$/,
    'an attribute name is a letter or underscore, then letters, digits or underscores (at most 100)',
  )
  .refine(
    (name) => !reserved.has(name) && !(name in {}),
    'this name is reserved in expressions; choose another',
  );

/** Where values come from; a model's scores fall under the leak guard (METHOD.md section 8). */
export const originSchema = z.union([
  z.enum(['measured', 'entered']),
  z.strictObject({
    model: z.string().min(1).max(200),
    evidence: z.enum(['outOfFold', 'inTraining']),
    split: z.string().max(100).optional(),
  }),
]);
export type Origin = z.output<typeof originSchema>;

export const attributeSchema = z
  .strictObject({
    type: z.enum(['number', 'string', 'boolean', 'labels']),
    unit: z.string().max(40).optional(),
    required: z.boolean().default(true),
    origin: originSchema.optional(),
  })
  .meta({
    id: 'Attribute',
    description: 'METHOD.md section 3; missing values are allowed only where required is false',
  });
export type AttributeSchema = z.output<typeof attributeSchema>;

export const attributeMapSchema = z.record(attributeNameSchema, attributeSchema);
export type AttributeMap = Record<string, AttributeSchema>;

/** What is wrong with a case id, or null: 1 to 200 characters, none a control character. */
export function caseIdFault(id: unknown): string | null {
  if (typeof id !== 'string') return 'id must be a string';
  if (id.length === 0 || (id.length > 200 && codePoints(id) > 200)) {
    return 'id must have 1 to 200 characters';
  }
  for (let k = 0; k < id.length; k++) {
    const code = id.charCodeAt(k);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 'id must not hold control characters';
  }
  return /\p{Surrogate}/u.test(id) ? 'id is not well-formed Unicode' : null;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const maxText = 2_000;

function valueFault(value: unknown, type: AttributeSchema['type']): string | null {
  switch (type) {
    case 'number':
      if (typeof value !== 'number') return 'must be a number';
      return Number.isFinite(value) ? null : 'must be finite; leave an unknown value out';
    case 'string':
      if (typeof value !== 'string') return 'must be a string';
      return textFault(value);
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false';
    case 'labels':
      return labelsFault(value);
  }
}

function textFault(text: string): string | null {
  if (text.length > maxText) return `must have at most ${maxText} characters`;
  return isStorableText(text) ? null : 'holds a zero character or half of a surrogate pair';
}

function labelsFault(value: unknown): string | null {
  if (!Array.isArray(value) || value.some((label) => typeof label !== 'string')) {
    return 'must be a list of label names';
  }
  for (const label of value) {
    const fault = textFault(label);
    if (fault !== null) return fault;
  }
  return new Set(value).size === value.length ? null : 'names a label twice';
}

/** What is wrong with the attributes of one case line; empty when they fit the schema. */
export function attributeFaults(
  attributes: unknown,
  schema: AttributeMap,
): { name: string; detail: string }[] {
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    return [{ name: '', detail: 'attributes must be an object' }];
  }
  const faults: { name: string; detail: string }[] = [];
  const values = attributes as Record<string, unknown>;
  for (const name in values) {
    if (!Object.hasOwn(schema, name)) {
      faults.push({
        name,
        detail: `attribute "${name}" is not declared for this dataset; declare it or leave it out`,
      });
      continue;
    }
    const detail = valueFault(values[name], schema[name].type);
    if (detail !== null) faults.push({ name, detail: `attribute "${name}" ${detail}` });
  }
  for (const name in schema) {
    if (schema[name].required && !Object.hasOwn(values, name)) {
      faults.push({ name, detail: `required attribute "${name}" is missing` });
    }
  }
  return faults;
}
