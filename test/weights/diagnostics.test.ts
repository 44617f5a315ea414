// What a snapshot says of itself (METHOD.md section 10), each number against its definition on
// snapshots small enough to work out, and the gate of freezing.

import { describe, expect, test } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import {
  boundOf,
  drawsUntilSeen,
  freezeMinEffective,
  groupValue,
  lowEffectiveFault,
} from '../../api/weights/diagnostics.ts';
import { wholeUnits } from '../../api/weights/units.ts';
import { resolved, ruled, table } from './cases.ts';

const attributes = {
  site: { type: 'string' as const },
  labels: { type: 'labels' as const, required: false },
};
const cases = table({
  site: ['A', 'A', 'A', 'B'],
  labels: [['lesion', 'edema'], undefined, [], ['edema', 'lesion']],
});
// t = 1/5, 1/5, 1/5, 2/5; scores 1, 1, 1, 3, so q = 1/9, 1/9, 1/9, 6/9.
const rules: RuleDocumentInput = {
  groups: ['site', 'labels'],
  target: { terms: [{ name: 'focus', kind: 'match', when: "case.site == 'B'", factor: 2 }] },
  sampling: { terms: [{ name: 'more', kind: 'match', when: "case.site == 'B'", factor: 3 }] },
};
const diagnosed = (strength: number, changed: Partial<RuleDocumentInput> = {}) =>
  resolved({
    cases,
    ...ruled(attributes, { ...rules, correction: { strength }, ...changed }),
  }).diagnostics;

const t = [0.2, 0.2, 0.2, 0.4];
const q = [1 / 9, 1 / 9, 1 / 9, 6 / 9];
const about = (value: number) => expect.closeTo(value, 12);
const total = (term: (k: number) => number) => [0, 1, 2, 3].reduce((sum, k) => sum + term(k), 0);

// A group's account at strength 1, where the effective target is the target.
const group = (
  attribute: string,
  value: string,
  given: { count: number; target: number; draws: number },
) => ({
  attribute,
  value,
  caseCount: given.count,
  targetShare: about(given.target),
  drawShare: about(given.draws),
  effectiveTargetShare: about(given.target),
});

describe('at strength 1', () => {
  test('every number is what its definition gives', () => {
    expect(diagnosed(1)).toEqual({
      caseCount: 4,
      effectiveFraction: about(1 / total((k) => t[k] ** 2 / q[k])),
      objectiveShift: 0,
      maxLossFactor: about(1.8),
      minLossFactor: about(0.6),
      divergence: {
        kl: about(total((k) => q[k] * Math.log(q[k] / t[k]))),
        totalVariation: about(4 / 15),
      },
      atFloor: 0,
      atCap: 0,
      drawsUntilSeen: 35,
      sharedValidation: 0,
      missing: { labels: 1 },
      groups: [
        group('site', 'A', { count: 3, target: 0.6, draws: 1 / 3 }),
        group('site', 'B', { count: 1, target: 0.4, draws: 2 / 3 }),
        group('labels', 'edema+lesion', { count: 2, target: 0.6, draws: 7 / 9 }),
        group('labels', 'missing', { count: 1, target: 0.2, draws: 1 / 9 }),
        group('labels', 'none', { count: 1, target: 0.2, draws: 1 / 9 }),
      ],
      largest: [
        { id: 'a000003', ratio: about(5 / 3) },
        ...['a000000', 'a000001', 'a000002'].map((id) => ({ id, ratio: expect.closeTo(5 / 9, 9) })),
      ],
    });
  });
});

describe('below strength 1', () => {
  test('at 0 all draws count alike and the objective is what is drawn', () => {
    const { effectiveFraction, objectiveShift, maxLossFactor, groups } = diagnosed(0);
    expect(effectiveFraction).toBeCloseTo(1, 12);
    expect(objectiveShift).toBeCloseTo(4 / 15, 12);
    expect(maxLossFactor).toBe(1);
    expect(groups[1].effectiveTargetShare).toBeCloseTo(2 / 3, 12);
  });

  test('between them the effective target is t^b q^(1-b), normalised', () => {
    const blend = t.map((_, k) => t[k] ** 0.5 * q[k] ** 0.5);
    const sum = total((k) => blend[k]);
    const { objectiveShift, groups } = diagnosed(0.5);
    expect(groups[1].effectiveTargetShare).toBeCloseTo(blend[3] / sum, 12);
    expect(objectiveShift).toBeCloseTo(blend[3] / sum - 0.4, 12);
  });
});

describe('bounds', () => {
  test('cases at floor and at cap are counted', () => {
    const terms = [{ name: 'x', kind: 'match' as const, when: "case.site == 'B'", factor: 100 }];
    const found = diagnosed(1, { sampling: { terms, floor: 0.5, cap: 1.5 }, target: {} });
    expect(found).toMatchObject({ atFloor: 0, atCap: 1 });
    expect(found.effectiveFraction).toBeGreaterThan(0.5);
    const low = diagnosed(1, { sampling: { terms, floor: 0.5, cap: 3 }, target: {} });
    expect(low).toMatchObject({ atFloor: 3, atCap: 0 });
  });

  test('a few units away is at the bound, many are not, and bounds of 1 bind nobody', () => {
    const bounds = { floor: 0.2, cap: 5 };
    const targetUnits = 10_000_000;
    const at = (drawUnits: number, given = bounds) => boundOf({ targetUnits, drawUnits }, given);
    expect([at(2_000_003), at(2_000_100), at(targetUnits), at(49_999_990)]).toEqual([
      'floor',
      null,
      null,
      'cap',
    ]);
    expect(at(targetUnits, { floor: 1, cap: 1 })).toBeNull();
  });
});

describe('draws until every case was probably seen', () => {
  const unseen = (probabilities: number[], n: number) =>
    probabilities.reduce((sum, p) => sum + (1 - p) ** n, 0);

  test.each([
    [[1]],
    [[0.5, 0.5]],
    [[0.9, 0.1]],
    [q],
    [Array.from({ length: 100 }, (_, k) => (k + 1) / 5050)],
  ])('is the smallest n for %j', (probabilities) => {
    const n = drawsUntilSeen(Float64Array.from(probabilities));
    expect(unseen(probabilities, n)).toBeLessThanOrEqual(0.05);
    expect(unseen(probabilities, n - 1)).toBeGreaterThan(0.05);
  });
});

test('the ten largest ratios come first, ties by id', () => {
  const score = Array.from({ length: 30 }, (_, k) => [3, 1, 2][k % 3]);
  const sampling = { terms: [{ name: 's', kind: 'formula' as const, expression: 'case.score' }] };
  const input = { cases: table({ score }), ...ruled({ score: { type: 'number' } }, { sampling }) };
  const { largest } = resolved(input).diagnostics;
  const threes = Array.from({ length: 10 }, (_, k) => `a0000${String(3 * k).padStart(2, '0')}`);
  expect(largest.map(({ id }) => id).sort()).toEqual(threes);
  expect(largest.every(({ ratio }) => Math.abs(ratio - 1.5) < 1e-9)).toBe(true);
});

test('values of a group are texts, and sets do not depend on their order', () => {
  const values = [undefined, null, true, 'B', [], ['b', 'a'], ['a', 'b']];
  expect(values.map(groupValue)).toEqual(['missing', 'missing', 'true', 'B', 'none', 'a+b', 'a+b']);
});

test('units and shares agree: the draw shares of a grouping sum to 1', () => {
  const { groups } = diagnosed(1);
  const sum = (name: string) =>
    groups
      .filter(({ attribute }) => attribute === name)
      .reduce((all, { drawShare }) => all + drawShare * wholeUnits, 0);
  expect([sum('site'), sum('labels')]).toEqual([wholeUnits, wholeUnits]);
});

describe('the gate of freezing', () => {
  test('stands at 0.3 and says what to do', () => {
    expect(freezeMinEffective).toBe(0.3);
    expect(lowEffectiveFault({ effectiveFraction: 0.3 })).toBeNull();
    expect(lowEffectiveFault({ effectiveFraction: 0.29 })).toEqual({
      pointer: '/acceptLowEffective',
      detail: expect.stringMatching(/0\.290, under 0\.3.*acceptLowEffective: true/),
    });
  });
});
