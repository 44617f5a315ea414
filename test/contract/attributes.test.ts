// Attributes of a case: their names and types, and the check of every uploaded line.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  attributeFaults,
  attributeMapSchema,
  attributeNameSchema,
  attributeSchema,
  caseIdFault,
} from '../../api/contract/attributes.ts';
import { compileExpression, expressionEnvironment } from '../../api/weights/expressions.ts';

describe('attribute names', () => {
  test.each(['site', '_x', 'lesionMl', 'A1_b', `a${'b'.repeat(99)}`])('%s is one', (name) => {
    expect(attributeNameSchema.safeParse(name).success).toBe(true);
  });

  test.each([
    '',
    '1a',
    'a-b',
    'a.b',
    'a b',
    'é',
    `a${'b'.repeat(100)}`,
    'in',
    'true',
    'null',
    'while',
    'constructor',
    'toString',
    '__proto__',
    'hasOwnProperty',
    'valueOf',
  ])('%s is none', (name) => {
    expect(attributeNameSchema.safeParse(name).success).toBe(false);
  });

  test('every name that is allowed can be read in an expression', () => {
    const names = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,9}$/);
    fc.assert(
      fc.property(names, (name) => {
        if (!attributeNameSchema.safeParse(name).success) return;
        const attributes = attributeMapSchema.parse({ [name]: { type: 'number' } });
        const input = { text: `case.${name}`, type: 'double' as const, attributes };
        const compiled = compileExpression(expressionEnvironment(attributes), input);
        expect(compiled.ok && compiled.expression.evaluate({ [name]: 2.5 })).toBe(2.5);
      }),
      { numRuns: 200 },
    );
  });
});

describe('attributes', () => {
  test('are required unless they say otherwise', () => {
    expect(attributeSchema.parse({ type: 'number' })).toEqual({ type: 'number', required: true });
  });

  test('may come from a model, which says on what evidence', () => {
    const origin = { model: 'm1', evidence: 'outOfFold', split: 'five-fold' };
    expect(attributeSchema.parse({ type: 'number', origin }).origin).toEqual(origin);
    expect(attributeSchema.safeParse({ type: 'number', origin: { model: 'm1' } }).success).toBe(
      false,
    );
  });

  test.each([
    { type: 'date' },
    { type: 'number', optional: true },
    {},
    { type: 'number', origin: 'guessed' },
  ])('%j is none', (attribute) => {
    expect(attributeSchema.safeParse(attribute).success).toBe(false);
  });
});

describe('caseIdFault', () => {
  test.each(['a', 'case 1/ä', '\u{1d400}', 'x'.repeat(200), '\u{1d400}'.repeat(200)])(
    'accepts %j',
    (id) => {
      expect(caseIdFault(id)).toBeNull();
    },
  );

  test.each<[string, unknown]>([
    ['id must be a string', 7],
    ['id must be a string', undefined],
    ['id must have 1 to 200 characters', ''],
    ['id must have 1 to 200 characters', 'x'.repeat(201)],
    ['id must have 1 to 200 characters', '\u{1d400}'.repeat(201)],
    ['id must not hold control characters', 'a\tb'],
    ['id must not hold control characters', 'a\n'],
    ['id must not hold control characters', '\u0000'],
    ['id must not hold control characters', '\u007f'],
    ['id must not hold control characters', 'a\u0085'],
    ['id is not well-formed Unicode', '\ud800'],
    ['id is not well-formed Unicode', 'a\udc00b'],
  ])('%s', (fault, id) => {
    expect(caseIdFault(id)).toBe(fault);
  });
});

describe('attributeFaults', () => {
  const schema = attributeMapSchema.parse({
    n: { type: 'number' },
    s: { type: 'string', required: false },
    b: { type: 'boolean', required: false },
    l: { type: 'labels', required: false },
  });
  const details = (attributes: unknown) =>
    attributeFaults(attributes, schema).map((fault) => fault.detail);

  test('finds none in a line that fits', () => {
    expect(details({ n: 1, s: 'a', b: false, l: ['x', 'y'] })).toEqual([]);
    expect(details({ n: -0.5, l: [] })).toEqual([]);
  });

  test.each<[string, unknown]>([
    ['attributes must be an object', null],
    ['attributes must be an object', [1]],
    ['attributes must be an object', 'n'],
    ['required attribute "n" is missing', {}],
    ['attribute "n" must be a number', { n: '1' }],
    ['attribute "n" must be a number', { n: null }],
    ['attribute "n" must be finite; leave an unknown value out', { n: Number.NaN }],
    ['attribute "n" must be finite; leave an unknown value out', { n: Number.POSITIVE_INFINITY }],
    ['attribute "s" must be a string', { n: 1, s: 1 }],
    ['attribute "s" must have at most 2000 characters', { n: 1, s: 'x'.repeat(2_001) }],
    ['attribute "b" must be true or false', { n: 1, b: 'true' }],
    ['attribute "l" must be a list of label names', { n: 1, l: 'x' }],
    ['attribute "l" must be a list of label names', { n: 1, l: [1] }],
    ['attribute "l" names a label twice', { n: 1, l: ['x', 'x'] }],
  ])('%s', (detail, attributes) => {
    expect(details(attributes)).toEqual([detail]);
  });

  test('refuses what is not declared, names of objects included', () => {
    for (const name of ['m', 'constructor', 'toString']) {
      expect(attributeFaults({ n: 1, [name]: 1 }, schema)).toEqual([
        {
          name,
          detail: `attribute "${name}" is not declared for this dataset; declare it or leave it out`,
        },
      ]);
    }
    const line = JSON.parse('{"n": 1, "__proto__": 1}') as unknown;
    expect(attributeFaults(line, schema).map((fault) => fault.name)).toEqual(['__proto__']);
  });

  test('names every fault of a line', () => {
    expect(details({ s: 1, b: 2, zz: 3 })).toHaveLength(4);
  });
});
