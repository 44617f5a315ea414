// From cases and rules to the numbers of a snapshot, and the explanation of one case.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explainCase, resolveSnapshot } from '../../api/weights/resolve.ts';
import { unitSum, wholeUnits } from '../../api/weights/units.ts';
import { refused, resolved, ruled, scoredCases, table } from './cases.ts';

const attributes = {
  site: { type: 'string' },
  ml: { type: 'number' },
  labels: { type: 'labels' },
  dice: { type: 'number', required: false },
} as const;
const input = ruled(attributes, {
  exclude: [{ name: 'huge', when: 'case.ml > 90.0' }],
  groups: ['site'],
  target: {
    terms: [
      { name: 'focus', kind: 'match', when: "case.site == 'B'", factor: 2 },
      {
        name: 'clear',
        kind: 'quality',
        attribute: 'ml',
        from: 0,
        to: 50,
        factorAtFrom: 0.5,
        factorAtTo: 1.5,
      },
    ],
  },
  sampling: {
    terms: [
      { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
      { name: 'small', kind: 'formula', expression: 'case.ml < 10.0 ? 3.0 : 1.0' },
      { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 0.7 },
    ],
    floor: 0.1,
    cap: 8,
  },
});
const rows = fc.array(
  fc.record({
    site: fc.constantFrom('A', 'B', 'C'),
    ml: fc.double({ min: 0, max: 100, noNaN: true }),
    labels: fc.subarray(['liver', 'tumour', 'cyst']),
    dice: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 40 },
);
const columnsOf = (cases: { site: string; ml: number; labels: string[]; dice?: number }[]) => ({
  site: cases.map((row) => row.site),
  ml: cases.map((row) => row.ml),
  labels: cases.map((row) => row.labels),
  dice: cases.map((row) => row.dice),
});

describe('explainCase', () => {
  test('sampling factors multiply to the score, target factors to the target', () => {
    fc.assert(
      fc.property(rows, (made) => {
        fc.pre(made.some((row) => row.ml <= 90));
        const cases = table(columnsOf(made));
        const found = resolved({ ...input, cases });
        const explained = found.ids.map((caseId) => explainCase({ ...input, cases, caseId }));
        const product = (k: number, list: string) =>
          explained[k].reduce((all, term) => (term.list === list ? all * term.factor : all), 1);
        const total = found.ids.reduce((sum, _, k) => sum + product(k, 'target'), 0);
        found.ids.forEach((_, k) => {
          expect(Math.abs(found.scores[k] / product(k, 'sampling') - 1)).toBeLessThan(1e-9);
          const t = found.targetUnits[k] / wholeUnits;
          expect(Math.abs((t * total) / product(k, 'target') - 1)).toBeLessThan(1e-9);
          expect(explained[k].map((term) => term.name)).toEqual([
            'focus',
            'clear',
            'rare',
            'small',
            'hard',
          ]);
          for (const { because } of explained[k]) expect(because).toMatch(/factor|case\.ml < 10/);
        });
      }),
      { numRuns: 40 },
    );
  });

  test('says nothing of a case that is excluded or unknown', () => {
    const made = { site: 'A', ml: 1, labels: [] };
    const cases = table(columnsOf([made, { ...made, ml: 95 }]));
    expect(explainCase({ ...input, cases, caseId: 'a000001' })).toEqual([]);
    expect(explainCase({ ...input, cases, caseId: 'nobody' })).toEqual([]);
    expect(explainCase({ ...input, cases, caseId: 'a000000' })).toHaveLength(5);
  });
});

describe('resolveSnapshot', () => {
  test('without rules draws uniformly and corrects nothing', () => {
    const found = resolved({ ...ruled({}, {}), cases: table({}, ['c', 'a', 'b', 'd']) });
    const quarter = wholeUnits / 4;
    expect(found).toMatchObject({
      ids: ['a', 'b', 'c', 'd'],
      targetUnits: Float64Array.of(quarter, quarter, quarter, quarter),
      drawUnits: Float64Array.of(quarter, quarter, quarter, quarter),
      lossFactors: Float64Array.of(1, 1, 1, 1),
      scores: Float64Array.of(1, 1, 1, 1),
      excluded: [],
    });
  });

  test('leaves out withdrawn and excluded cases, each with one reason, in id order', () => {
    const exclude = [
      { name: 'big', when: 'case.x > 3.0' },
      { name: 'odd', when: 'case.x > 2.0' },
    ];
    const cases = table({ x: [4, 1, 3, 5, 2] }, ['e', 'd', 'c', 'b', 'a']);
    const withdrawn = new Map([
      ['b', 'consent'],
      ['z', 'not here'],
    ]);
    const found = resolved({ ...ruled({ x: { type: 'number' } }, { exclude }), cases, withdrawn });
    expect(found.ids).toEqual(['a', 'd']);
    expect(found.excluded).toEqual([
      { id: 'b', reason: 'withdrawn: consent' },
      { id: 'c', reason: 'odd: case.x > 2.0' },
      { id: 'e', reason: 'big: case.x > 3.0' },
    ]);
    expect(unitSum(found.drawUnits)).toBe(wholeUnits);
  });

  test('refuses when no case remains', () => {
    const rules = ruled({}, { exclude: [{ name: 'all', when: 'true' }] });
    expect(refused({ ...rules, cases: table({}, ['a', 'b']) })).toEqual([
      {
        pointer: '/exclude',
        detail: 'none of the 2 cases remain to be drawn: all are excluded or withdrawn',
      },
    ]);
    expect(refused({ ...ruled({}, {}), cases: table({}, []) })).toHaveLength(1);
  });

  test('refuses an id that stands twice', () => {
    expect(refused({ ...ruled({}, {}), cases: table({}, ['a', 'b', 'a']) })).toEqual([
      { caseId: 'a', detail: 'case "a" is in the table twice' },
    ]);
  });

  test('refuses a required attribute that a case lacks, and names the case', () => {
    const found = refused(scoredCases([1, undefined as unknown as number]));
    expect(found).toEqual([
      {
        caseId: 'a000001',
        detail:
          'case "a000001" has no "score", which is required; upload it or declare the attribute required: false',
      },
    ]);
  });

  test('throws where a column that the rules read is not there', () => {
    expect(() => resolveSnapshot({ ...scoredCases([1]), cases: table({}, ['a']) })).toThrow(
      RangeError,
    );
  });

  test('refuses draw units under 2^20 and names the cases', () => {
    const found = refused(scoredCases([0, 1, 1, 0], { floor: 1e-10 }));
    expect(found.map(({ caseId, pointer }) => [caseId, pointer])).toEqual([
      ['a000000', '/sampling/floor'],
      ['a000003', '/sampling/floor'],
    ]);
    expect(found[0].detail).toContain('under 2^20');
    expect(resolved(scoredCases([0, 1, 1, 0], { floor: 1e-9 })).ids).toHaveLength(4);
  });

  test('takes exactly 2^20 units and refuses two fewer', () => {
    const at = (floor: number) => scoredCases([0, 1, 1, 1], { floor });
    expect(resolved(at(2 ** -30)).drawUnits[0]).toBe(2 ** 20);
    expect(refused(at(2 ** -30 * (1 - 2 ** -19)))).toHaveLength(1);
  });

  test('refuses target units under 2^20 and names the cases', () => {
    const cases = scoredCases([1e-10, 1, 1]);
    const terms = cases.rules.sampling.terms;
    const rules = { ...cases.rules, target: { terms } };
    const found = refused({ ...cases, rules });
    expect(found.map(({ caseId, pointer }) => [caseId, pointer])).toEqual([
      ['a000000', '/target/terms'],
    ]);
  });

  test('refuses a target factor of 0 and names the case', () => {
    const cases = scoredCases([0, 1]);
    const rules = { ...cases.rules, target: { terms: cases.rules.sampling.terms } };
    const [found] = refused({ ...cases, rules });
    expect(found).toMatchObject({ caseId: 'a000000', pointer: '/target/terms/0' });
    expect(found.detail).toContain('use exclude');
  });

  test('names at most 100 cases', () => {
    const found = refused(scoredCases(new Array<number>(500).fill(-1)));
    expect(found).toHaveLength(100);
  });

  test('terms of wild range keep a finite score above 0', () => {
    const scores = resolved(scoredCases([1e-300, 1e300, 1])).scores;
    expect([...scores].map((score, k) => Math.abs(score / [1e-300, 1e300, 1][k] - 1))).toEqual(
      new Array(3).fill(expect.closeTo(0, 12)),
    );
    const terms = ['a', 'b'].map((name) => ({
      name,
      kind: 'formula' as const,
      expression: 'case.score',
    }));
    const doubled = resolved(scoredCases([1e-300, 1e300, 1], { terms })).scores;
    expect([...doubled]).toEqual([2 ** -1074, Number.MAX_VALUE, 1]);
  });

  test('100,000 cases resolve', () => {
    const count = 100_000;
    const column = <Value>(make: (k: number) => Value) =>
      Array.from({ length: count }, (_, k) => make(k));
    const cases = table({
      site: column((k) => 'ABC'[k % 3]),
      ml: column((k) => (k * 7919) % 89),
      labels: column((k) => (k % 50 === 0 ? ['liver', 'tumour'] : ['liver'])),
      dice: column((k) => (k % 10 === 0 ? undefined : (k % 97) / 97)),
    });
    const found = resolved({ ...input, cases });
    expect(unitSum(found.targetUnits)).toBe(wholeUnits);
    expect(unitSum(found.drawUnits)).toBe(wholeUnits);
    expect(found.diagnostics.missing).toEqual({ dice: count / 10 });
  });
});

describe('evidence of a model', () => {
  const scored = (evidence: string) => {
    const origin = { model: 'm1', evidence, split: 's' };
    const terms = [
      { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 1 } as const,
    ];
    const rules = ruled(
      { dice: { type: 'number', required: false, origin } },
      { sampling: { terms } },
    );
    return { ...rules, cases: table({ dice: [0.5, undefined, 0.9, 0.7] }) };
  };

  test('that trained on the case is refused, naming the cases, but for children of its run', () => {
    const found = refused(scored('inTraining'));
    expect(found.map(({ caseId }) => caseId)).toEqual(['a000000', 'a000002', 'a000003']);
    expect(found[0]).toMatchObject({ pointer: '/sampling/terms/0' });
    expect(found[0].detail).toContain('from a model that trained on it');
    const child = resolved({ ...scored('inTraining'), allowInTraining: true });
    expect(child.ids).toHaveLength(4);
  });

  test('out of fold is allowed, and its share is carried', () => {
    const share = (change: object) =>
      resolved({ ...scored('outOfFold'), ...change }).diagnostics.sharedValidation;
    expect(share({ fold: 0 })).toBe(0.75);
    expect(share({ fold: 'all' })).toBe(0);
  });
});
