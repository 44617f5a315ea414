// Scores of validation cases: the rules of the training side, its statistics, and no draw.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import { scoreDeciles } from '../../api/weights/score-deciles.ts';
import { type AttributesInput, caseIds, ruled, table } from './cases.ts';

type Columns = Record<string, unknown[]>;
type Terms = NonNullable<NonNullable<RuleDocumentInput['sampling']>['terms']>;

const deciles = (attributes: AttributesInput, terms: Terms, training: Columns, val: Columns) =>
  scoreDeciles({
    ...ruled(attributes, { sampling: { terms } }),
    training: table(training),
    validation: table(
      val,
      caseIds(Object.values(val)[0].length).map((id) => `v${id}`),
    ),
  });

const score = { score: { type: 'number' } } as const;
const asFactor: Terms = [{ name: 'score', kind: 'formula', expression: 'case.score' }];
const upTo = (count: number) => Array.from({ length: count }, (_, k) => k + 1);

describe('deciles', () => {
  test('are tenths of the training side, from 0 to 9', () => {
    const found = deciles(score, asFactor, { score: upTo(20) }, { score: [0, 1, 10.5, 20, 99] });
    expect([...found.training]).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9,
    ]);
    expect([...found.validation]).toEqual([0, 0, 5, 9, 9]);
    expect(found.faults).toEqual([]);
  });

  test('are the same for the same score, and 0 where all have it', () => {
    const found = deciles(score, asFactor, { score: [2, 2, 2, 2] }, { score: [2, 3] });
    expect([[...found.training], [...found.validation]]).toEqual([
      [0, 0, 0, 0],
      [0, 9],
    ]);
  });
});

describe('statistics are those of the training side', () => {
  const site = { site: { type: 'string' } } as const;
  const rare: Terms = [
    { name: 'rare', kind: 'rarity', by: ['site'], method: 'inverse-frequency', power: 0.5 },
  ];

  test('a group that is rare among the training cases is rare, however many validate it', () => {
    const training = { site: [...Array(16).fill('A'), ...Array(4).fill('B')] };
    const found = deciles(site, rare, training, { site: ['B', 'B', 'B', 'B', 'B', 'A'] });
    expect([...found.validation]).toEqual([8, 8, 8, 8, 8, 0]);
  });

  test('a group that no training case has counts as one case', () => {
    const training = { site: [...Array(18).fill('A'), 'B', 'B'] };
    expect([...deciles(site, rare, training, { site: ['C'] }).validation]).toEqual([9]);
    const weighed: Terms = [
      { name: 'rare', kind: 'rarity', by: ['site'], method: 'effective-number', beta: 0.9 },
    ];
    expect([...deciles(site, weighed, training, { site: ['C', 'A'] }).validation]).toEqual([9, 0]);
  });

  test('a label that is rare among the training cases stands for its case', () => {
    const labels = { labels: { type: 'labels' } } as const;
    const byLabels: Terms = [{ ...rare[0], by: ['labels'] } as Terms[number]];
    const training = {
      labels: [...Array(15).fill(['organ']), ...Array(5).fill(['organ', 'lesion'])],
    };
    const val = {
      labels: [['lesion', 'organ'], ['lesion', 'organ'], ['organ'], ['vessel', 'organ']],
    };
    expect([...deciles(labels, byLabels, training, val).validation]).toEqual([7, 7, 0, 9]);
  });

  test('difficulty is clipped at the percentile of the training side', () => {
    const dice = { dice: { type: 'number' } } as const;
    const hard: Terms = [
      { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 1 },
    ];
    const training = { dice: upTo(20).map((k) => 1 - k / 40) };
    const found = deciles(dice, hard, training, { dice: [0, 0.5, 0.975] });
    expect([...found.validation]).toEqual([9, 9, 0]);
  });

  test('validation cases change nothing for the training side, nor for each other', () => {
    const sites = fc.array(fc.constantFrom('A', 'B', 'C', 'D'), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(sites, sites, (training, val) => {
        const found = deciles(site, rare, { site: training }, { site: val });
        const one = deciles(site, rare, { site: training }, { site: [val[0]] });
        expect(found.training).toEqual(one.training);
        expect(found.validation[0]).toBe(one.validation[0]);
        val.forEach((name, k) => {
          const twin = training.indexOf(name);
          if (twin >= 0) expect(found.validation[k]).toBe(found.training[twin]);
        });
      }),
    );
  });
});

describe('a validation case that cannot be scored has none, and says why', () => {
  test('where it lacks a required attribute', () => {
    const found = deciles(score, asFactor, { score: upTo(10) }, { score: [undefined, 10] });
    expect([...found.validation]).toEqual([-1, 9]);
    expect(found.faults).toEqual([
      { caseId: 'va000000', detail: 'case "va000000" has no "score"' },
    ]);
  });

  test('where a term has no finite factor for it; the others are scored', () => {
    const inverse: Terms = [{ name: 'inverse', kind: 'formula', expression: '1.0 / case.score' }];
    const found = deciles(score, inverse, { score: upTo(10) }, { score: [0, 1, 10, -1] });
    expect([...found.validation]).toEqual([-1, 9, 0, -1]);
    expect(found.faults.map(({ caseId }) => caseId)).toEqual(['va000000', 'va000003']);
  });
});
