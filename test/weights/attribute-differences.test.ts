// Rules taken to another dataset: every attribute that means something else there, at once.

import { describe, expect, test } from 'vitest';
import { attributeMapSchema } from '../../api/contract/attributes.ts';
import { ruleDocumentSchema } from '../../api/contract/rule-sets.ts';
import { attributeDifferences } from '../../api/weights/attribute-differences.ts';

const from = {
  quality: { type: 'number', origin: 'measured' },
  lesionMl: { type: 'number', unit: 'ml', origin: 'measured' },
  site: { type: 'string' },
  labels: { type: 'labels' },
  dice: { type: 'number', origin: { model: 'm', evidence: 'outOfFold', split: 'a' } },
  loss: { type: 'number', origin: { model: 'm', evidence: 'outOfFold' } },
  unread: { type: 'boolean' },
};
const rules = ruleDocumentSchema.parse({
  exclude: [{ name: 'motion', when: 'case.quality < 0.2' }],
  groups: ['site'],
  sampling: {
    terms: [
      { name: 'small', kind: 'formula', expression: 'case.lesionMl < 1.0 ? 2.0 : case.quality' },
      { name: 'rare', kind: 'rarity', by: ['labels'], method: 'effective-number', beta: 0.9 },
      { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 1 },
    ],
  },
  adaptive: { everyEpochs: 1, attribute: 'loss', momentum: 0.5, minEvidence: 1 },
});
const differences = (to: object) =>
  attributeDifferences(rules, {
    from: attributeMapSchema.parse(from),
    to: attributeMapSchema.parse(to),
  });

test('none where every attribute that is read is declared alike', () => {
  expect(differences(from)).toEqual([]);
  const { unread, ...without } = from;
  expect(differences(without)).toEqual([]);
  const dice = { ...from.dice, required: false, origin: { ...from.dice.origin, split: 'b' } };
  expect(differences({ ...from, dice })).toEqual([]);
});

describe('each kind of place that reads an attribute', () => {
  test.each([
    ['quality', '/exclude/0/when'],
    ['site', '/groups/0'],
    ['lesionMl', '/sampling/terms/0'],
    ['labels', '/sampling/terms/1'],
    ['dice', '/sampling/terms/2'],
    ['loss', '/adaptive/attribute'],
  ])('%s is missed at %s', (name, pointer) => {
    const to = Object.fromEntries(Object.entries(from).filter(([key]) => key !== name));
    expect(differences(to)).toEqual([
      { pointer, detail: expect.stringContaining(`no attribute "${name}" is declared`) },
    ]);
  });
});

test.each([
  ['type', { ...from, site: { type: 'boolean' } }, '"site": its type is boolean here and string'],
  [
    'unit',
    { ...from, lesionMl: { ...from.lesionMl, unit: 'mm3' } },
    '"lesionMl": its unit is mm3 here and ml there',
  ],
  [
    'unit that is not stated',
    { ...from, lesionMl: { type: 'number', origin: 'measured' } },
    '"lesionMl": its unit is not stated here and ml there',
  ],
  [
    'origin',
    { ...from, quality: { type: 'number', origin: 'entered' } },
    '"quality": its origin is entered here and measured there',
  ],
  [
    'evidence',
    { ...from, dice: { type: 'number', origin: { model: 'm', evidence: 'inTraining' } } },
    '"dice": its origin is a model (in training) here and a model (out of fold) there',
  ],
])('another %s is named', (_, to, says) => {
  expect(differences(to)).toEqual([
    { pointer: expect.any(String), detail: expect.stringContaining(says) },
  ]);
});

test('all of them at once, several of one attribute in one fault', () => {
  const found = differences({ lesionML: { type: 'string' }, quality: { type: 'string' } });
  expect(found).toHaveLength(6);
  expect(found[0].detail).toBe(
    'attribute "quality": its type is string here and number there, its origin is not stated here and measured there',
  );
  expect(found[1].detail).toContain('did you mean "lesionML"?');
});
