// Cross products of the rarity term: two groups never become one (METHOD.md section 3).

import { expect, test } from 'vitest';
import { applied, close, factors } from './one-term.ts';

const attributes = { site: { type: 'string' }, sex: { type: 'string' } } as const;
const term = {
  name: 'r',
  kind: 'rarity',
  by: ['site', 'sex'],
  method: 'inverse-frequency',
  power: 1,
} as const;
const rarity = { ...term, by: [...term.by] };

test('a cross product counts each pair of values by itself', () => {
  const columns = {
    site: ['A', 'A', 'A', 'A', 'B', 'B', 'B', 'B'],
    sex: ['f', 'f', 'f', 'm', 'f', 'f', 'm', 'm'],
  };
  // Counts 3, 1, 2, 2 of 8: each group holds 8 in sum, so the mean is 4.
  const by = { Af: 8 / 3 / 4, Am: 8 / 4, Bf: 1, Bm: 1 };
  expect(factors(attributes, columns, rarity)).toEqual(
    close([by.Af, by.Af, by.Af, by.Am, by.Bf, by.Bf, by.Bm, by.Bm]),
  );
  expect(applied(attributes, columns, rarity).because(3)).toBe(
    'site=A, sex=m in 1 of 8 cases, power 1: factor 2',
  );
});

test('values that read like the next attribute stay apart', () => {
  const columns = { site: ['A, sex=f', 'A', 'A', 'C'], sex: ['m', 'f, sex=m', 'm', 'm'] };
  expect(factors(attributes, columns, rarity)).toEqual([1, 1, 1, 1]);
});
