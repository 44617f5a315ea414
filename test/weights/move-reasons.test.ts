// Why a case moved, in words: every cause alone, and none.

import { describe, expect, test } from 'vitest';
import {
  type MovedSide,
  movedBecause,
  movedTerms,
  presentBecause,
} from '../../api/weights/move-reasons.ts';
import type { ExplainedTerm } from '../../api/weights/resolve.ts';

const term = (name: string, factor: number, list: ExplainedTerm['list'] = 'sampling') => ({
  name,
  kind: 'match',
  list,
  factor,
  because: '',
});

const side: MovedSide = {
  drawProbability: 0.01,
  boundedBy: null,
  header: { caseCount: 40, floor: 0.2, cap: 5, temper: 1 },
};
const twice = { ...side, drawProbability: 0.02 };
const withHeader = (change: Partial<MovedSide['header']>): MovedSide => ({
  ...twice,
  header: { ...side.header, ...change },
});

describe('movedTerms', () => {
  test('are those whose factor differs, newer rules first, and null where there is no term', () => {
    const from = [term('same', 2), term('rare', 2), term('old', 3), term('both', 1, 'target')];
    const to = [term('both', 4), term('rare', 2.5), term('same', 2 * (1 + 1e-12))];
    expect(movedTerms(from, to)).toEqual([
      { name: 'both', list: 'sampling', from: null, to: 4 },
      { name: 'rare', list: 'sampling', from: 2, to: 2.5 },
      { name: 'old', list: 'sampling', from: 3, to: null },
      { name: 'both', list: 'target', from: 1, to: null },
    ]);
  });

  test('hold a factor that became zero, and one that is small', () => {
    expect(movedTerms([term('a', 1e-12), term('b', 0)], [term('a', 0), term('b', 0)])).toEqual([
      { name: 'a', list: 'sampling', from: 1e-12, to: 0 },
    ]);
  });
});

describe('movedBecause', () => {
  const causes: [string, MovedSide, MovedSide, string][] = [
    ['nothing of its own', side, twice, 'only factors of other cases differ'],
    ['temper', side, withHeader({ temper: 0.5 }), 'the temper went from 1 to 0.5'],
    ['floor', side, withHeader({ floor: 0.1 }), 'the floor went from 0.2 to 0.1'],
    ['cap', side, withHeader({ cap: 3 }), 'the cap went from 5 to 3'],
    [
      'count',
      side,
      withHeader({ caseCount: 32 }),
      'it shares the draws with 32 cases instead of 40',
    ],
    ['bound', side, { ...twice, boundedBy: 'cap' }, 'it has come to the cap'],
    ['free', { ...side, boundedBy: 'floor' }, twice, 'it has left the floor'],
    [
      'other bound',
      { ...side, boundedBy: 'floor' },
      { ...twice, boundedBy: 'cap' },
      'it has left the floor; it has come to the cap',
    ],
    [
      'same bound',
      { ...side, boundedBy: 'cap' },
      { ...twice, boundedBy: 'cap' },
      'it is at the cap in both',
    ],
  ];
  test.each(causes)('names %s', (_, from, to, why) => {
    expect(movedBecause(from, to, [])).toBe(`Drawn 2 times as often: ${why}.`);
  });

  test('names every term, and then the rest', () => {
    const terms = movedTerms([term('rare', 2), term('old', 3)], [term('rare', 4), term('new', 0)]);
    expect(movedBecause(twice, { ...side, boundedBy: 'floor' }, terms)).toBe(
      'Drawn 0.5 times as often: sampling term "rare" went from factor 2 to 4; sampling term "new" is new, with factor 0; sampling term "old", which had factor 3, is gone; it has come to the floor.',
    );
  });
});

test('a case of one snapshot alone has the reason of the other', () => {
  expect(presentBecause('from', 'not a case of version 1')).toBe(
    'Drawn only in the second; in the other it is left out: not a case of version 1.',
  );
  expect(presentBecause('to', 'motion: case.quality < 0.2')).toBe(
    'Drawn only in the first; in the other it is left out: motion: case.quality < 0.2.',
  );
});
