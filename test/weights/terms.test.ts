// Every other kind of term with factors worked out by hand (METHOD.md section 3).

import { describe, expect, test } from 'vitest';
import { percentile } from '../../api/weights/terms/difficulty.ts';
import { resolved, ruled, table } from './cases.ts';
import {
  applied,
  close,
  factors,
  faults,
  mean,
  number,
  optional,
  site,
  type TermInput,
} from './one-term.ts';

describe('match', () => {
  const when = "case.site == 'B'";
  test('gives the factor where true and 1 elsewhere', () => {
    const term = { name: 'm', kind: 'match', when, factor: 2.5 } as const;
    expect(factors(site, { site: ['A', 'B'] }, term)).toEqual([1, 2.5]);
  });

  test('gives otherwise elsewhere', () => {
    const term = { name: 'm', kind: 'match', when, factor: 0, otherwise: 3 } as const;
    expect(factors(site, { site: ['A', 'B'] }, term)).toEqual([3, 0]);
  });

  test('gives 1 where an optional attribute is missing, not otherwise', () => {
    const term = { name: 'm', kind: 'match', when, factor: 2, otherwise: 3 } as const;
    const attributes = { site: { type: 'string', required: false } } as const;
    const found = applied(attributes, { site: ['A', 'B', undefined] }, term);
    expect([...found.factors]).toEqual([3, 2, 1]);
    expect([0, 1, 2].map(found.because)).toEqual([
      "case.site == 'B' is false: factor 3",
      "case.site == 'B' is true: factor 2",
      '"site" is missing: factor 1',
    ]);
  });

  test('decides for itself with has()', () => {
    const term = { name: 'm', kind: 'match', when: '!has(case.x)', factor: 4 } as const;
    expect(factors({ x: optional }, { x: [1, undefined] }, term)).toEqual([1, 4]);
  });
});

describe('formula', () => {
  const formula = (expression: string) => ({ name: 'f', kind: 'formula', expression }) as const;

  test('gives its value', () => {
    const term = formula('case.x < 1.0 ? 3.0 : case.x / 2.0');
    expect(factors({ x: number }, { x: [0.5, 1, 6] }, term)).toEqual([3, 0.5, 3]);
  });

  test.each([
    ['negative', -1],
    ['infinite', 1e308],
  ])('refuses a %s value and names the case', (_, x) => {
    expect(faults({ x: number }, { x: [1, x] }, formula('case.x * 100.0'))).toEqual([
      {
        caseId: 'a000001',
        pointer: '/sampling/terms/0',
        detail: `case "a000001" gets factor ${x * 100} from the term "f": a factor is finite and not negative`,
      },
    ]);
  });

  test('refuses NaN and names every such case', () => {
    const found = faults({ x: number }, { x: [0, 1, 0] }, formula('case.x / case.x'));
    expect(found.map((fault) => fault.caseId)).toEqual(['a000000', 'a000002']);
    expect(found[0].detail).toContain('gets factor NaN');
  });

  test('gives 1 where an optional attribute is missing', () => {
    expect(factors({ x: optional }, { x: [4, undefined] }, formula('case.x'))).toEqual([4, 1]);
  });
});

describe('quality', () => {
  const term: TermInput = {
    name: 'q',
    kind: 'quality',
    attribute: 'x',
    from: 2,
    to: 4,
    factorAtFrom: 0.5,
    factorAtTo: 1.5,
  };

  test('is linear between and constant outside', () => {
    const found = applied({ x: number }, { x: [-9, 2, 2.5, 3, 4, 99] }, term);
    expect([...found.factors]).toEqual([0.5, 0.5, 0.75, 1, 1.5, 1.5]);
    expect(found.because(2)).toBe(
      'x 2.5 on the scale from 2 (factor 0.5) to 4 (factor 1.5): factor 0.75',
    );
  });

  test('may fall from high to low', () => {
    const turned = { ...term, from: 4, to: 2 };
    expect(factors({ x: number }, { x: [1, 2, 3, 4, 5] }, turned)).toEqual([1.5, 1.5, 1, 0.5, 0.5]);
  });

  test('gives 1 where the value is missing', () => {
    expect(factors({ x: optional }, { x: [undefined, 2] }, term)).toEqual([1, 0.5]);
  });
});

describe('difficulty', () => {
  const difficulty = (change: object): TermInput => ({
    name: 'd',
    kind: 'difficulty',
    attribute: 'x',
    measure: 'dice',
    power: 1,
    clipPercentile: 100,
    ...change,
  });

  test('of dice is 1 - dice + 0.01, with mean 1', () => {
    const middle = (0.01 + 0.51 + 1.01) / 3;
    const expected = [0.01, 0.51, 1.01].map((value) => value / middle);
    expect(factors({ x: number }, { x: [1, 0.5, 0] }, difficulty({}))).toEqual(close(expected));
  });

  test('takes a power', () => {
    const raw = [0.01 ** 2, 0.51 ** 2];
    const found = factors({ x: number }, { x: [1, 0.5] }, difficulty({ power: 2 }));
    expect(found).toEqual(close(raw.map((value) => value / mean(raw))));
  });

  test('of loss clips at the percentile, interpolated linearly', () => {
    // Percentile 75 of 1, 2, 3, 11 is 3 + 0.25 * 8 = 5; mean (1 + 2 + 3 + 5)/4 = 2.75.
    const term = difficulty({ measure: 'loss', clipPercentile: 75 });
    const found = applied({ x: number }, { x: [11, 1, 3, 2] }, term);
    expect([...found.factors]).toEqual(close([5, 1, 3, 2].map((value) => value / 2.75)));
    expect(found.because(0)).toContain('clipped at percentile 75');
    expect(found.because(1)).not.toContain('clipped');
  });

  test('gives 1 where the value is missing; the others have mean 1', () => {
    const term = difficulty({ measure: 'loss' });
    expect(factors({ x: optional }, { x: [1, undefined, 3] }, term)).toEqual([0.5, 1, 1.5]);
    expect(factors({ x: optional }, { x: [undefined, undefined] }, term)).toEqual([1, 1]);
  });

  test('of losses that are all zero changes nothing', () => {
    expect(factors({ x: number }, { x: [0, 0] }, difficulty({ measure: 'loss' }))).toEqual([1, 1]);
  });

  test.each([
    ['dice', 1.2, 'a dice is 0 to 1'],
    ['dice', -0.1, 'a dice is 0 to 1'],
    ['loss', -1, 'a loss is 0 or more'],
  ])('refuses a %s of %d and names the case', (measure, value, sentence) => {
    expect(faults({ x: number }, { x: [0.5, value] }, difficulty({ measure }))).toEqual([
      {
        caseId: 'a000001',
        pointer: '/sampling/terms/0/attribute',
        detail: `case "a000001" has x ${value}; ${sentence}`,
      },
    ]);
  });

  test.each([
    [0, 10],
    [50, 25],
    [100, 40],
    [95, 38.5],
  ])('percentile %d of 10, 20, 30, 40 is %d', (percent, value) => {
    expect(percentile(Float64Array.of(40, 10, 30, 20), percent)).toBeCloseTo(value, 12);
  });
});

describe('several terms', () => {
  test('multiply, and missing optional attributes are counted', () => {
    const input = ruled(
      { x: optional, y: { type: 'number', required: false }, z: optional },
      {
        sampling: {
          terms: [
            { name: 'x', kind: 'formula', expression: 'case.x' },
            {
              name: 'y',
              kind: 'quality',
              attribute: 'y',
              from: 0,
              to: 1,
              factorAtFrom: 1,
              factorAtTo: 3,
            },
          ],
        },
      },
    );
    const cases = table({
      x: [2, undefined, 4],
      y: [1, undefined, undefined],
      z: [1, 1, undefined],
    });
    const found = resolved({ ...input, cases });
    expect([...found.scores]).toEqual([6, 1, 4]);
    expect(found.diagnostics.missing).toEqual({ x: 1, y: 2 });
  });
});
