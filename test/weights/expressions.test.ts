// CEL with guards (METHOD.md section 3): what is refused, where, and what a sound one reads.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attributeMapSchema } from '../../api/contract/attributes.ts';
import {
  compileExpression,
  type ExpressionType,
  expressionEnvironment,
} from '../../api/weights/expressions.ts';
import { refused, resolved, ruled, table } from './cases.ts';

const attributes = attributeMapSchema.parse({
  site: { type: 'string' },
  x: { type: 'number' },
  seen: { type: 'boolean' },
  labels: { type: 'labels' },
  lesionMl: { type: 'number', required: false },
});
const environment = expressionEnvironment(attributes);
const compiled = (text: string, type: ExpressionType = 'bool') =>
  compileExpression(environment, { text, type, attributes });

function fault(text: string, type: ExpressionType = 'bool') {
  const result = compiled(text, type);
  if (result.ok) throw new Error(`${text} compiled`);
  const { detail, range } = result.fault;
  return { detail, at: text.slice(range?.from, range?.to) };
}
function value(text: string, row: Record<string, unknown>, type: ExpressionType = 'bool') {
  const result = compiled(text, type);
  if (!result.ok) throw new Error(result.fault.detail);
  return result.expression.evaluate(row);
}

describe('refuses', () => {
  test.each([
    "case.site.matches('(a+)+')",
    "matches(case.site, 'a')",
    "'a'.matches('a')",
    "case.seen || case.site.matches('a')",
    "case.x > 1.0 ? case.site.matches('a') : false",
    "['a'.matches('a')][0]",
    "{'k': 'a'.matches('a')}.k",
  ])('matches() in %s', (text) => {
    expect(fault(text).detail).toContain('matches() is not allowed');
    expect(fault(text).at).toContain('matches');
  });

  test.each([
    ['all', "case.labels.all(l, l == 'a')"],
    ['exists', "case.labels.exists(l, l == 'a')"],
    ['exists_one', "case.labels.exists_one(l, l == 'a')"],
    ['map', 'size(case.labels.map(l, l)) > 1'],
    ['filter', "size(case.labels.filter(l, l == 'a')) > 1"],
    ['exists', '[1, 2].exists(a, [3, 4].all(b, a < b))'],
    ['sortBy', 'case.labels.sortBy(l, l) == []'],
    ['bind', 'cel.bind(a, 1.0, a > 0.0)'],
  ])('the comprehension %s in %s', (name, text) => {
    expect(fault(text).detail).toMatch(`${name}()`);
    expect(fault(text).detail).toContain('not allowed');
  });

  test('a wrong result type, over the whole expression', () => {
    expect(fault('case.x')).toEqual({
      detail: 'the expression gives double, but bool is needed here',
      at: 'case.x',
    });
    expect(fault('case.seen', 'double').detail).toBe(
      'the expression gives bool, but double is needed here',
    );
    expect(fault('dyn(case.x)', 'double').detail).toContain('gives dyn');
  });

  test('a whole number where a double is needed, and says how to write it', () => {
    expect(fault('2', 'double').detail).toContain('write whole numbers with a point, as 2.0');
    expect(fault('2 * case.x', 'double')).toEqual({
      detail: 'no such overload: int * double (numbers are doubles here: write 2.0, not 2)',
      at: '2 * case.x',
    });
  });

  test.each([
    ['case.lesonMl > 1.0', 'lesonMl', '; did you mean "lesionMl"?'],
    ['case.Site == "A"', 'Site', '; did you mean "site"?'],
    ['case.x > 0.0 && case.zebra > 1.0', 'zebra', ''],
    ['has(case.sit)', 'sit', '; did you mean "site"?'],
  ])('an attribute that is not declared: %s', (text, name, hint) => {
    expect(fault(text)).toEqual({
      detail: `no attribute "${name}" is declared for this dataset${hint}`,
      at: name,
    });
  });

  test.each(["case['x'] > 1.0", 'case == case', '[case][0].x > 1.0', "{'a': case}.a.x > 1.0"])(
    'the case other than as case.NAME: %s',
    (text) => {
      expect(fault(text)).toEqual({ detail: 'read an attribute as case.NAME', at: 'case' });
    },
  );

  test.each([
    ['case.site > case.x', 'no such overload: string > double'],
    ['case.labels == case.site', 'no such overload: list<string> == string'],
    ['case.seen + 1.0 > 0.0', 'no such overload: bool + double'],
    ['other > 1.0', 'Unknown variable: other; attributes are read as case.NAME'],
  ])('fields used as another type: %s', (text, detail) => {
    expect(fault(text).detail).toBe(detail);
  });

  test('what does not parse, at the character where it stops', () => {
    const result = compiled('case.x > ');
    expect(result).toMatchObject({ ok: false, fault: { range: { from: 9 } } });
  });

  test('more than 200 nodes', () => {
    const sum = (count: number) => new Array<string>(count).fill('case.x').join(' + ');
    expect(compiled(sum(40), 'double').ok).toBe(true);
    expect(fault(sum(101), 'double').detail).toContain('200');
  });

  test('deep nesting, quickly and without throwing', () => {
    expect(compiled(`${'('.repeat(1_900)}true${')'.repeat(1_900)}`).ok).toBe(false);
    expect(compiled(`${'!'.repeat(3_900)}true`).ok).toBe(false);
  });

  test('any text with a range inside it, and never throws', () => {
    const piece = fc.constantFrom(
      'case.x',
      'case',
      '.',
      '(',
      ')',
      '[',
      "'",
      '1',
      ' + ',
      'has',
      '&&',
      '?',
      ':',
      'é',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const result = compiled(text);
        if (result.ok) return;
        const { from, to } = result.fault.range as { from: number; to: number };
        expect(result.fault.detail).not.toBe('');
        expect(from).toBeGreaterThanOrEqual(0);
        expect(to).toBeGreaterThan(from);
        expect(to).toBeLessThanOrEqual(text.length + 1);
      }),
      { numRuns: 500 },
    );
  });
});

describe('evaluates', () => {
  const row = { site: 'B', x: 2.5, seen: true, labels: ['liver', 'cyst'] };

  test.each([
    ["case.site == 'B'", true],
    ["case.site in ['A', 'C']", false],
    ["'cyst' in case.labels", true],
    ['size(case.labels) == 2', true],
    ['size(case.labels) > 2', false],
    ['case.x > 2', true],
    ['case.seen && !(case.x < 1.0)', true],
    ["case.site.startsWith('B')", true],
    ['has(case.lesionMl)', false],
    ['has(case.lesionMl) && case.lesionMl < 1.0', false],
  ])('%s', (text, expected) => {
    expect(value(text, row)).toBe(expected);
  });

  test('an optional attribute behind has()', () => {
    const text = 'has(case.lesionMl) ? case.lesionMl : 2.0';
    expect(value(text, row, 'double')).toBe(2);
    expect(value(text, { ...row, lesionMl: 0.25 }, 'double')).toBe(0.25);
  });

  test('names what it reads', () => {
    const result = compiled("has(case.lesionMl) && case.site == 'x'");
    if (!result.ok) throw new Error(result.fault.detail);
    expect([...result.expression.reads].sort()).toEqual(['lesionMl', 'site']);
  });
});

describe('on cases', () => {
  const optional = { x: { type: 'number', required: false } } as const;
  const cases = table({ x: [1, undefined, 3] });
  const excluding = (when: string) => ruled(optional, { exclude: [{ name: 'big', when }] });

  test('an exclusion that an absent attribute leaves undecided names the case', () => {
    expect(refused({ ...excluding('case.x > 2.0'), cases })).toEqual([
      {
        caseId: 'a000001',
        pointer: '/exclude/0/when',
        detail: 'case "a000001" has no "x", so case.x > 2.0 does not decide; ask has(case.x) first',
      },
    ]);
    const found = resolved({ ...excluding('has(case.x) && case.x > 2.0'), cases });
    expect(found.excluded).toEqual([{ id: 'a000002', reason: 'big: has(case.x) && case.x > 2.0' }]);
  });

  test('what cannot be evaluated names the case', () => {
    const input = ruled(
      { labels: { type: 'labels' } },
      {
        sampling: {
          terms: [{ name: 'f', kind: 'formula', expression: "case.labels[1] == 'b' ? 2.0 : 1.0" }],
        },
      },
    );
    const [found] = refused({ ...input, cases: table({ labels: [['a', 'b'], ['a']] }) });
    expect(found).toMatchObject({ caseId: 'a000001', pointer: '/sampling/terms/0/expression' });
    expect(found.detail).toContain('cannot be evaluated');
  });
});
