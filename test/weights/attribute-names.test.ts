// Misspelt attributes: which declared name is meant, and that every place that names one says so.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attributeMapSchema } from '../../api/contract/attributes.ts';
import { ruleDocumentSchema } from '../../api/contract/rule-sets.ts';
import { nearestName } from '../../api/weights/attribute-names.ts';
import { checkRules } from '../../api/weights/rules.ts';

const declared = ['lesionMl', 'quality', 'site', 'age', 'labels', 'volumeMl_liver'];

describe('the name that was meant', () => {
  test.each([
    ['lesionML', 'lesionMl'],
    ['LESIONML', 'lesionMl'],
    ['lesonMl', 'lesionMl'],
    ['qaulity', 'quality'],
    ['qualitty', 'quality'],
    ['qulaty', 'quality'],
    ['sites', 'site'],
    ['stie', 'site'],
    ['agee', 'age'],
    ['volumeML_livr', 'volumeMl_liver'],
  ])('%s is %s', (name, meant) => {
    expect(nearestName(name, declared)).toBe(meant);
  });

  test.each(['kidney', 'ace', 'lesn', 'q', '', 'site_of_scan', 'quaxxxx'])(
    '%s is none of them',
    (name) => {
      expect(
        nearestName(
          name,
          declared.filter((known) => known !== 'age'),
        ),
      ).toBeNull();
    },
  );

  test('is the nearest, and among equals the one in the same case', () => {
    expect(nearestName('doseB', ['doseAB', 'dose', 'dosEB', 'DOSEB'])).toBe('dosEB');
    expect(nearestName('abcdef', ['abcxef', 'abcdeg'])).toBe('abcxef');
  });

  test('is found after any one slip of the fingers in a name of three letters or more', () => {
    const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
    const nameOf = fc.array(fc.constantFrom(...letters), { minLength: 3, maxLength: 12 });
    fc.assert(
      fc.property(nameOf, fc.nat(), fc.constantFrom(...letters), (name, place, letter) => {
        const at = place % name.length;
        const slips = [
          name.with(at, letter),
          name.toSpliced(at, 1),
          name.toSpliced(at, 0, letter),
          name.toSpliced(at, 2, ...name.slice(at, at + 2).reverse()),
          name.with(at, name[at].toUpperCase()),
        ];
        for (const slip of slips)
          expect(nearestName(slip.join(''), [name.join('')])).not.toBeNull();
      }),
    );
  });
});

describe('every place of a rule document that names an attribute suggests one', () => {
  const attributes = attributeMapSchema.parse({
    quality: { type: 'number' },
    site: { type: 'string' },
  });
  const term = (fields: object) => ({ sampling: { terms: [{ name: 't', ...fields }] } });
  const rarity = { kind: 'rarity', method: 'inverse-frequency', power: 1 };
  const factors = { from: 0, to: 1, factorAtFrom: 1, factorAtTo: 2 };
  const places: [string, object, string, [number, number]?][] = [
    [
      'exclude',
      { exclude: [{ name: 'x', when: 'case.qualty < 0.1' }] },
      '/exclude/0/when',
      [5, 11],
    ],
    ['groups', { groups: ['Site'] }, '/groups/0'],
    [
      'match',
      term({ kind: 'match', when: "case.site == 'A' && case.Quality < 0.1", factor: 2 }),
      '/sampling/terms/0/when',
      [25, 32],
    ],
    [
      'has()',
      term({ kind: 'match', when: '!has(case.qualityy)', factor: 2 }),
      '/sampling/terms/0/when',
      [10, 18],
    ],
    [
      'formula',
      term({ kind: 'formula', expression: '1.0 + case.qaulity' }),
      '/sampling/terms/0/expression',
      [11, 18],
    ],
    ['by', term({ ...rarity, by: ['site', 'stie'] }), '/sampling/terms/0/by/1'],
    [
      'by with bins',
      term({ ...rarity, by: [{ attribute: 'qualitiy', bins: [1] }] }),
      '/sampling/terms/0/by/0/attribute',
    ],
    [
      'quality',
      term({ kind: 'quality', attribute: 'qualiti', ...factors }),
      '/sampling/terms/0/attribute',
    ],
    [
      'difficulty',
      term({ kind: 'difficulty', attribute: 'QUALITY', measure: 'dice', power: 1 }),
      '/sampling/terms/0/attribute',
    ],
    [
      'adaptive',
      { adaptive: { everyEpochs: 1, attribute: 'qualit', momentum: 0.5, minEvidence: 1 } },
      '/adaptive/attribute',
    ],
    [
      'an expression that forgets "case."',
      term({ kind: 'match', when: "Qualty < 0.1 || site == 'A'", factor: 2 }),
      '/sampling/terms/0/when',
      [0, 6],
    ],
  ];
  test.each(places)('%s', (_, document, pointer, range) => {
    const faults = checkRules(ruleDocumentSchema.parse(document), attributes);
    expect(faults).toHaveLength(1);
    expect(faults[0].pointer).toBe(pointer);
    expect(faults[0].detail).toMatch(/did you mean "?(case\.)?(quality|site)\b/);
    if (range !== undefined) expect(faults[0].range).toEqual({ from: range[0], to: range[1] });
  });

  test('an expression that forgets "case." of a name spelt well says to put it there', () => {
    const when = "site == 'A'";
    const rules = ruleDocumentSchema.parse(term({ kind: 'match', when, factor: 2 }));
    expect(checkRules(rules, attributes)).toEqual([
      {
        pointer: '/sampling/terms/0/when',
        range: { from: 0, to: 4 },
        detail: 'Unknown variable: site; did you mean "case.site"?',
      },
    ]);
  });

  test('a variable near "case" is told so, and one near nothing is left', () => {
    const detailOf = (when: string) =>
      checkRules(ruleDocumentSchema.parse(term({ kind: 'match', when, factor: 2 })), attributes)[0]
        .detail;
    expect(detailOf('cases.quality < 0.1')).toBe(
      'Unknown variable: cases; attributes are read as case.NAME',
    );
    expect(detailOf('zebra < 0.1')).toBe(
      'Unknown variable: zebra; attributes are read as case.NAME',
    );
  });
});
