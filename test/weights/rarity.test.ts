// The rarity term, with factors worked out by hand (METHOD.md section 3).

import { describe, expect, test } from 'vitest';
import { rulesApplied } from '../../api/weights/rules-applied.ts';
import { ruled, table } from './cases.ts';
import { applied, close, factors, mean, number, site, type TermInput } from './one-term.ts';

describe('rarity', () => {
  const rarity = (change: object): TermInput => ({
    name: 'r',
    kind: 'rarity',
    by: ['site'],
    method: 'inverse-frequency',
    power: 1,
    ...change,
  });

  test('is the inverse of a share, with mean 1', () => {
    // Groups of 3 and 1 of 4: 4/3 and 4, mean 2.
    const found = applied(site, { site: ['A', 'A', 'B', 'A'] }, rarity({}));
    expect([...found.factors]).toEqual(close([2 / 3, 2 / 3, 2, 2 / 3]));
    expect(found.because(2)).toBe('site=B in 1 of 4 cases, power 1: factor 2');
  });

  test('takes a power', () => {
    const found = factors(site, { site: ['A', 'A', 'A', 'A', 'B'] }, rarity({ power: 0.5 }));
    const [a, b] = [Math.sqrt(5 / 4), Math.sqrt(5)];
    const middle = (4 * a + b) / 5;
    expect(found).toEqual(close([a, a, a, a, b].map((value) => value / middle)));
    expect(mean(found)).toBeCloseTo(1, 14);
  });

  test('of power 0 changes nothing', () => {
    expect(factors(site, { site: ['A', 'A', 'B'] }, rarity({ power: 0 }))).toEqual([1, 1, 1]);
  });

  test('smooths counts', () => {
    // (3 + 1)/4 and (1 + 1)/4: 1 and 2, mean 1.25.
    const found = factors(site, { site: ['A', 'A', 'B', 'A'] }, rarity({ smoothing: 1 }));
    expect(found).toEqual(close([0.8, 0.8, 1.6, 0.8]));
  });

  test('by effective number', () => {
    // beta 0.5: 0.5/(1 - 0.5^3) = 4/7 and 0.5/0.5 = 1, mean (12/7 + 1)/4 = 19/28.
    const term = rarity({ method: 'effective-number', power: undefined, beta: 0.5 });
    expect(factors(site, { site: ['A', 'A', 'B', 'A'] }, term)).toEqual(
      close([16 / 19, 16 / 19, 28 / 19, 16 / 19]),
    );
  });

  test('by effective number with a beta next to 1 is the inverse count', () => {
    const term = rarity({ method: 'effective-number', power: undefined, beta: 1 - 2 ** -50 });
    expect(factors(site, { site: ['A', 'A', 'B', 'A'] }, term)).toEqual(
      close([2 / 3, 2 / 3, 2, 2 / 3]),
    );
  });

  test('by effective number with beta 0 changes nothing', () => {
    const term = rarity({ method: 'effective-number', power: undefined, beta: 0 });
    expect(factors(site, { site: ['A', 'A', 'B'] }, term)).toEqual([1, 1, 1]);
  });

  test('of booleans', () => {
    const found = factors(
      { seen: { type: 'boolean' } },
      { seen: [true, false, false] },
      rarity({ by: ['seen'] }),
    );
    expect(found).toEqual(close([1.5, 0.75, 0.75]));
  });

  test('counts a label set as its rarest label, an empty one as a group of its own', () => {
    // liver stands in 3 cases, tumour in 2, cyst in 1: groups liver 1, tumour 1, cyst 1, empty 1.
    const labels = [['liver'], ['liver', 'tumour'], ['tumour', 'liver', 'cyst'], [], []];
    const found = applied({ labels: { type: 'labels' } }, { labels }, rarity({ by: ['labels'] }));
    // 1/5 for three groups of one, 2/5 for the empty ones: 5, 5, 5, 2.5, 2.5, mean 4.
    expect([...found.factors]).toEqual(close([1.25, 1.25, 1.25, 0.625, 0.625]));
    expect(found.because(1)).toContain('labels=tumour in 1 of 5 cases');
    expect(found.because(3)).toContain('labels empty in 2 of 5 cases');
  });

  test('of labels that are equally rare takes the first by name', () => {
    const labels = [['b', 'a'], ['a', 'b'], ['a'], ['b']];
    const found = factors({ labels: { type: 'labels' } }, { labels }, rarity({ by: ['labels'] }));
    expect(found).toEqual(close([2 / 3, 2 / 3, 2 / 3, 2]));
  });

  test('bins a number; a bin holds its lower edge', () => {
    const by = [{ attribute: 'ml', bins: [1, 10] }];
    const found = applied({ ml: number }, { ml: [0.5, 1, 9.99, 10] }, rarity({ by }));
    // Groups of 1, 2, 1: 4, 2, 2, 4, mean 3.
    expect([...found.factors]).toEqual(close([4 / 3, 2 / 3, 2 / 3, 4 / 3]));
    expect([0, 1, 3].map((place) => found.because(place).split(' in ')[0])).toEqual([
      'ml < 1',
      'ml 1 to 10',
      'ml >= 10',
    ]);
  });

  test('crosses several attributes', () => {
    const attributes = { ...site, seen: { type: 'boolean' } } as const;
    const columns = { site: ['A', 'A', 'A', 'B'], seen: [true, true, false, false] };
    const found = applied(attributes, columns, rarity({ by: ['site', 'seen'] }));
    // (A, true) twice, the others once: 2, 2, 4, 4, mean 3.
    expect([...found.factors]).toEqual(close([2 / 3, 2 / 3, 4 / 3, 4 / 3]));
    expect(found.because(2)).toContain('site=A, seen=false in 1 of 4 cases');
  });

  test('keeps crossed groups apart whose texts run together', () => {
    const attributes = { a: { type: 'string' }, b: { type: 'string' } } as const;
    const columns = { a: ['x, b=y', 'x', 'x'], b: ['z', 'y, b=z', 'y, b=z'] };
    const found = factors(attributes, columns, rarity({ by: ['a', 'b'] }));
    expect(found).toEqual(close([1.5, 0.75, 0.75]));
  });

  test('gives 1 where an attribute is missing; the others have mean 1', () => {
    const attributes = { site: { type: 'string', required: false } } as const;
    const found = factors(attributes, { site: ['A', undefined, 'B', 'A', 'A'] }, rarity({}));
    expect(found).toEqual(close([2 / 3, 1, 2, 2 / 3, 2 / 3]));
  });

  test('counts only the cases that remain', () => {
    const input = ruled(site, {
      exclude: [{ name: 'C', when: "case.site == 'C'" }],
      sampling: { terms: [rarity({})] },
    });
    const cases = table({ site: ['A', 'C', 'A', 'C', 'B', 'A'] });
    const result = rulesApplied({ ...input, cases });
    if ('faults' in result) throw new Error('faults');
    expect([...result.terms[0].factors]).toEqual(close([2 / 3, 2 / 3, 2, 2 / 3]));
  });
});
