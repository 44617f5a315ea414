// A rule document against a dataset's attributes: every fault with its pointer (METHOD.md
// section 3).

import { describe, expect, test } from 'vitest';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import { attributesRead, checkRules } from '../../api/weights/rules.ts';
import { ruled } from './cases.ts';
import type { TermInput } from './one-term.ts';

const attributes = {
  site: { type: 'string' },
  seen: { type: 'boolean' },
  labels: { type: 'labels' },
  ml: { type: 'number' },
  loss: { type: 'number', required: false },
} as const;

function faults(document: RuleDocumentInput) {
  const input = ruled(attributes, document);
  return checkRules(input.rules, input.attributes);
}
const ofTerm = (term: TermInput) => faults({ sampling: { terms: [term] } });

const rarity = { name: 'r', kind: 'rarity', method: 'inverse-frequency', power: 1 } as const;
const quality = {
  name: 'q',
  kind: 'quality',
  from: 0,
  to: 1,
  factorAtFrom: 1,
  factorAtTo: 2,
} as const;
const difficulty = { name: 'd', kind: 'difficulty', measure: 'dice', power: 1 } as const;

describe('a sound document', () => {
  test('has no faults, and reads what its parts read', () => {
    const document: RuleDocumentInput = {
      exclude: [{ name: 'tiny', when: 'case.ml < 0.1' }],
      groups: ['site'],
      target: { terms: [{ name: 'm', kind: 'match', when: 'case.seen', factor: 2 }] },
      sampling: {
        terms: [
          { ...rarity, by: ['labels', { attribute: 'ml', bins: [1] }] },
          { ...difficulty, attribute: 'loss' },
        ],
      },
    };
    expect(faults(document)).toEqual([]);
    const input = ruled(attributes, document);
    expect([...attributesRead(input.rules, input.attributes)].sort()).toEqual([
      'labels',
      'loss',
      'ml',
      'seen',
      'site',
    ]);
  });
});

describe('attributes of the wrong type', () => {
  test.each<[string, TermInput, string, string]>([
    [
      'rarity by a number without bins',
      { ...rarity, by: ['site', 'ml'] },
      '/sampling/terms/0/by/1',
      'attribute "ml" is number; string or boolean or labels is needed here; a number needs bins: {"attribute": NAME, "bins": [EDGES]}',
    ],
    [
      'bins on a string',
      { ...rarity, by: [{ attribute: 'site', bins: [1] }] },
      '/sampling/terms/0/by/0/attribute',
      'attribute "site" is string; number is needed here',
    ],
    [
      'quality on labels',
      { ...quality, attribute: 'labels' },
      '/sampling/terms/0/attribute',
      'attribute "labels" is labels; number is needed here',
    ],
    [
      'difficulty on a boolean',
      { ...difficulty, attribute: 'seen' },
      '/sampling/terms/0/attribute',
      'attribute "seen" is boolean; number is needed here',
    ],
    [
      'an attribute that is not declared',
      { ...quality, attribute: 'm' },
      '/sampling/terms/0/attribute',
      'no attribute "m" is declared for this dataset; did you mean "ml"?',
    ],
    [
      'a name that objects have',
      { ...quality, attribute: 'constructor' },
      '/sampling/terms/0/attribute',
      'no attribute "constructor" is declared for this dataset',
    ],
  ])('%s', (_, term, pointer, detail) => {
    expect(ofTerm(term)).toEqual([{ pointer, detail }]);
  });

  test('groups are strings, booleans or labels', () => {
    expect(faults({ groups: ['site', 'ml', 'zebra'] })).toEqual([
      {
        pointer: '/groups/1',
        detail: 'attribute "ml" is number; string or boolean or labels is needed here',
      },
      { pointer: '/groups/2', detail: 'no attribute "zebra" is declared for this dataset' },
    ]);
  });
});

describe('expressions', () => {
  test('carry pointer and range wherever they stand', () => {
    const when = 'case.mil > 1.0';
    const found = faults({
      exclude: [{ name: 'x', when: 'case.ml' }],
      target: { terms: [{ name: 'm', kind: 'match', when, factor: 2 }] },
      sampling: { terms: [{ name: 'f', kind: 'formula', expression: 'case.seen' }] },
    });
    expect(found.map(({ pointer, range }) => ({ pointer, range }))).toEqual([
      { pointer: '/exclude/0/when', range: { from: 0, to: 7 } },
      { pointer: '/target/terms/0/when', range: { from: 5, to: 8 } },
      { pointer: '/sampling/terms/0/expression', range: { from: 0, to: 9 } },
    ]);
  });
});

describe('the target', () => {
  const zero = 'a target factor is above 0; use exclude to leave cases out';

  test.each<[string, TermInput]>([
    ['factor', { name: 'm', kind: 'match', when: 'case.seen', factor: 0 }],
    ['otherwise', { name: 'm', kind: 'match', when: 'case.seen', factor: 2, otherwise: 0 }],
    ['factorAtFrom', { ...quality, attribute: 'ml', factorAtFrom: 0 }],
    ['factorAtTo', { ...quality, attribute: 'ml', factorAtTo: 0 }],
  ])('may not have a %s of 0; sampling may', (field, term) => {
    expect(faults({ target: { terms: [term] } })).toEqual([
      { pointer: `/target/terms/0/${field}`, detail: zero },
    ]);
    expect(ofTerm(term)).toEqual([]);
  });

  const adaptive = { everyEpochs: 1, attribute: 'loss', momentum: 0.5, minEvidence: 1 };
  const moving = { ...difficulty, attribute: 'loss' } as const;
  const detail =
    '"loss" changes during the run, so only sampling terms may read it: the objective never moves';

  test.each<[string, string, RuleDocumentInput]>([
    ['a target term', '/target/terms/0', { target: { terms: [moving] } }],
    [
      'a target formula behind has()',
      '/target/terms/0',
      {
        target: {
          terms: [{ name: 'f', kind: 'formula', expression: 'has(case.loss) ? 2.0 : 1.0' }],
        },
      },
    ],
    [
      'an exclusion',
      '/exclude/0/when',
      { exclude: [{ name: 'e', when: 'has(case.loss) && case.loss > 9.0' }] },
    ],
  ])('does not read the adaptive attribute: %s', (_, pointer, document) => {
    expect(faults({ ...document, adaptive })).toEqual([{ pointer, detail }]);
    expect(faults(document)).toEqual([]);
  });

  test('sampling terms may read it', () => {
    expect(faults({ sampling: { terms: [moving] }, adaptive })).toEqual([]);
  });

  test('the adaptive attribute is not required: a run fills it in', () => {
    const found = faults({ adaptive: { ...adaptive, attribute: 'ml' } });
    expect(found.map(({ pointer }) => pointer)).toEqual(['/adaptive/attribute']);
    expect(found[0].detail).toMatch(/^"ml" is required of every case.*required: false/);
  });

  test('the adaptive attribute is a declared number', () => {
    expect(faults({ adaptive: { ...adaptive, attribute: 'site' } })).toEqual([
      {
        pointer: '/adaptive/attribute',
        detail: 'attribute "site" is string; number is needed here',
      },
    ]);
  });
});
