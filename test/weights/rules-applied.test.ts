// Which cases rules are applied to: order, withdrawals, exclusions, missing values, and the leak
// guard on what a model made (METHOD.md sections 3 and 8).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import { explainCase, resolveSnapshot } from '../../api/weights/resolve.ts';
import { type AttributesInput, refused, resolved, ruled, table } from './cases.ts';

const attributes: AttributesInput = {
  site: { type: 'string' },
  quality: { type: 'number' },
  lesionMl: { type: 'number', required: false },
};
const motion = { name: 'motion', when: 'case.quality < 0.1' };
const cases = table({
  site: ['A', 'B', 'B', 'A'],
  quality: [0.9, 0.05, 0.8, 0.7],
  lesionMl: [1, 2, undefined, 0.5],
});
const small = {
  name: 'small',
  kind: 'match' as const,
  when: 'case.lesionMl < 0.8',
  factor: 3,
  otherwise: 2,
};
const given = (rules: RuleDocumentInput) => ({ cases, ...ruled(attributes, rules) });

describe('excluded and withdrawn cases', () => {
  test('are left out and listed in id order with the reason, a withdrawal first', () => {
    const withdrawn = new Map([
      ['a000003', 'consent withdrawn'],
      ['elsewhere', 'not in this fold'],
    ]);
    const { ids, excluded, diagnostics } = resolved({ ...given({ exclude: [motion] }), withdrawn });
    expect(ids).toEqual(['a000000', 'a000002']);
    expect(excluded).toEqual([
      { id: 'a000001', reason: 'motion: case.quality < 0.1' },
      { id: 'a000003', reason: 'withdrawn: consent withdrawn' },
    ]);
    expect(diagnostics.caseCount).toBe(2);
  });

  test('a withdrawn case is not asked for the attributes that it lacks', () => {
    const lacking = table({ site: ['A', undefined], quality: [1, 1], lesionMl: [1, 1] });
    const input = { ...given({ groups: ['site'] }), cases: lacking };
    expect(refused(input)).toMatchObject([{ caseId: 'a000001' }]);
    expect(resolved({ ...input, withdrawn: new Map([['a000001', 'x']]) }).ids).toEqual(['a000000']);
  });

  test('counts and means are over the cases that remain', () => {
    const rare = {
      name: 'rare',
      kind: 'rarity' as const,
      by: ['site'],
      method: 'inverse-frequency' as const,
      power: 1,
    };
    const rules = { exclude: [motion], sampling: { terms: [rare] } };
    const input = { ...given(rules), caseId: 'a000002' };
    expect(explainCase(input)).toEqual([
      {
        name: 'rare',
        kind: 'rarity',
        list: 'sampling',
        factor: 1.5,
        because: 'site=B in 1 of 3 cases, power 1: factor 1.5',
      },
    ]);
    expect(explainCase({ ...input, caseId: 'a000001' })).toEqual([]);
  });

  test('an exclusion that is named first gives the reason', () => {
    const both = [{ name: 'site', when: "case.site == 'B'" }, motion];
    expect(resolved(given({ exclude: both })).excluded).toEqual([
      { id: 'a000001', reason: "site: case.site == 'B'" },
      { id: 'a000002', reason: "site: case.site == 'B'" },
    ]);
  });

  test('refuses when no case remains', () => {
    expect(refused(given({ exclude: [{ name: 'all', when: 'true' }] }))).toEqual([
      {
        pointer: '/exclude',
        detail: 'none of the 4 cases remain to be drawn: all are excluded or withdrawn',
      },
    ]);
  });
});

describe('missing values', () => {
  test('a term that reads a missing optional attribute gives factor 1, and it is counted', () => {
    const input = given({ sampling: { terms: [small] } });
    const { scores, diagnostics } = resolved(input);
    expect([...scores]).toEqual([2, 2, 1, 3]);
    expect(diagnostics.missing).toEqual({ lesionMl: 1 });
    expect(explainCase({ ...input, caseId: 'a000002' })).toMatchObject([
      { factor: 1, because: '"lesionMl" is missing: factor 1' },
    ]);
  });

  test('has() lets a condition decide for itself', () => {
    const when = '!has(case.lesionMl) || case.lesionMl < 0.8';
    const { scores } = resolved(given({ sampling: { terms: [{ ...small, when }] } }));
    expect([...scores]).toEqual([2, 2, 3, 3]);
  });

  test('an exclusion that does not decide is a fault that names the case and the way out', () => {
    expect(refused(given({ exclude: [{ name: 'big', when: 'case.lesionMl > 1.5' }] }))).toEqual([
      {
        caseId: 'a000002',
        pointer: '/exclude/0/when',
        detail:
          'case "a000002" has no "lesionMl", so case.lesionMl > 1.5 does not decide; ask has(case.lesionMl) first',
      },
    ]);
  });

  test('a required attribute that is missing is a fault of the case', () => {
    const lacking = table({ site: ['A', 'B', undefined], quality: [1, 1, 1] });
    const input = { ...ruled(attributes, { groups: ['site'] }), cases: lacking };
    expect(refused(input)).toEqual([
      {
        caseId: 'a000002',
        detail:
          'case "a000002" has no "site", which is required; upload it or declare the attribute required: false',
      },
    ]);
  });

  test('a column that was not loaded is an error of the caller, not a missing value', () => {
    const input = { ...given({ groups: ['site'] }), cases: table({ quality: [1, 1] }) };
    expect(() => resolveSnapshot(input)).toThrow(/needs a column "site"/);
  });
});

describe('order of upload', () => {
  test('changes nothing', () => {
    const rare = {
      name: 'rare',
      kind: 'rarity' as const,
      by: ['site'],
      method: 'inverse-frequency' as const,
      power: 0.5,
    };
    const rules = { groups: ['site'], exclude: [motion], sampling: { terms: [rare, small] } };
    const ids = ['z', 'Z', 'ä', 'a', '\u{1f600}', '\uffee', 'b1', 'b10', 'b2'];
    const rows = ids.map((id, k) => ({ id, site: 'ABC'[k % 3], quality: k / 10, lesionMl: k }));
    const snapshotOf = (places: number[]) => {
      const column = <Key extends keyof (typeof rows)[0]>(key: Key) =>
        places.map((k) => rows[k][key]);
      const columns = {
        site: column('site'),
        quality: column('quality'),
        lesionMl: column('lesionMl'),
      };
      return resolved({ ...given(rules), cases: { ids: column('id'), columns } });
    };
    const first = snapshotOf([...rows.keys()]);
    expect(first.ids).toEqual(
      ['a', 'b1', 'b10', 'b2', 'ä', '\uffee', '\u{1f600}']
        .concat('Z')
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    const shuffled = fc.shuffledSubarray([...rows.keys()], { minLength: rows.length });
    fc.assert(
      fc.property(shuffled, (places) => {
        expect(snapshotOf(places)).toEqual(first);
      }),
      { numRuns: 50 },
    );
  });

  test('an id that stands twice is a fault', () => {
    const twice = { ...given({}), cases: table({}, ['b', 'a', 'b']) };
    expect(refused(twice)).toEqual([{ caseId: 'b', detail: 'case "b" is in the table twice' }]);
  });
});

describe('the leak guard', () => {
  const scored = (evidence: string): AttributesInput => ({
    dice: { type: 'number', required: false, origin: { model: 'unet', evidence } },
  });
  const kinds: Record<string, NonNullable<RuleDocumentInput['sampling']>['terms']> = {
    difficulty: [{ name: 'x', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 1 }],
    quality: [
      {
        name: 'x',
        kind: 'quality',
        attribute: 'dice',
        from: 0,
        to: 1,
        factorAtFrom: 2,
        factorAtTo: 1,
      },
    ],
    rarity: [
      {
        name: 'x',
        kind: 'rarity',
        by: [{ attribute: 'dice', bins: [0.5] }],
        method: 'effective-number',
        beta: 0.9,
      },
    ],
    match: [{ name: 'x', kind: 'match', when: 'has(case.dice) && case.dice < 0.5', factor: 2 }],
    formula: [{ name: 'x', kind: 'formula', expression: 'has(case.dice) ? 2.0 - case.dice : 1.0' }],
  };
  const dice = table({ dice: [0.3, undefined, 0.9, 0.6] });
  const inputOf = (evidence: string, rules: RuleDocumentInput) => ({
    cases: dice,
    ...ruled(scored(evidence), rules),
  });

  test.each(Object.entries(kinds))('refuses in-training evidence in %s, by case', (_, terms) => {
    const input = inputOf('inTraining', { sampling: { terms } });
    const faults = refused(input);
    expect(faults.map(({ caseId }) => caseId)).toEqual(['a000000', 'a000002', 'a000003']);
    expect(faults[0]).toEqual({
      caseId: 'a000000',
      pointer: '/sampling/terms/0',
      detail:
        'case "a000000" has "dice" from a model that trained on it; a new snapshot may only use out-of-fold evidence',
    });
    expect(resolved({ ...input, allowInTraining: true }).ids).toHaveLength(4);
  });

  test('refuses it in exclusions too', () => {
    const exclude = [{ name: 'easy', when: 'has(case.dice) && case.dice > 0.8' }];
    const [fault] = refused(inputOf('inTraining', { exclude }));
    expect(fault).toMatchObject({ caseId: 'a000000', pointer: '/exclude/0/when' });
  });

  test('refuses it where the exclusion leaves out every case that has it', () => {
    const exclude = [{ name: 'seen', when: 'has(case.dice)' }];
    const faults = refused(inputOf('inTraining', { exclude }));
    expect(faults.map(({ caseId }) => caseId)).toEqual(['a000000', 'a000002', 'a000003']);
    const shared = resolved(inputOf('outOfFold', { exclude })).diagnostics.sharedValidation;
    expect(shared).toBe(0.75);
  });

  test('says which share of the cases has out-of-fold evidence', () => {
    const input = inputOf('outOfFold', { sampling: { terms: kinds.difficulty } });
    expect(resolved(input).diagnostics.sharedValidation).toBe(0.75);
    expect(resolved({ ...input, fold: 2 }).diagnostics.sharedValidation).toBe(0.75);
    expect(resolved({ ...input, fold: 'all' }).diagnostics.sharedValidation).toBe(0);
    expect(resolved(inputOf('outOfFold', {})).diagnostics.sharedValidation).toBe(0);
  });
});
