// The shape of a rule document (METHOD.md section 3): defaults, and what is refused where.

import { describe, expect, test } from 'vitest';
import { ruleDocumentSchema } from '../../api/contract/rule-sets.ts';

// Path and message of every fault, the path as a JSON pointer.
function faults(document: unknown): string[] {
  const parsed = ruleDocumentSchema.safeParse(document);
  if (parsed.success) throw new Error('it parsed');
  return parsed.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`);
}
const pointers = (document: unknown) => faults(document).map((fault) => fault.split(':')[0]);

const match = { name: 'm', kind: 'match', when: 'true', factor: 2 };
const rarity = { name: 'r', kind: 'rarity', by: ['site'], method: 'inverse-frequency', power: 1 };
const quality = {
  name: 'q',
  kind: 'quality',
  attribute: 'x',
  from: 0,
  to: 1,
  factorAtFrom: 1,
  factorAtTo: 2,
};
const difficulty = { name: 'd', kind: 'difficulty', attribute: 'x', measure: 'dice', power: 1 };
const sampling = (...terms: unknown[]) => ({ sampling: { terms } });

describe('defaults', () => {
  test('an empty document is uniform draws with exact correction', () => {
    expect(ruleDocumentSchema.parse({})).toEqual({
      exclude: [],
      groups: [],
      target: { terms: [] },
      sampling: { terms: [], temper: 1, floor: 0.2, cap: 5 },
      correction: { strength: 1 },
      schedule: null,
      adaptive: null,
    });
  });

  test('of terms, schedule and adaptive part', () => {
    const parsed = ruleDocumentSchema.parse({
      ...sampling(match, rarity, difficulty),
      schedule: { kind: 'ramp', epochs: 20 },
      adaptive: { everyEpochs: 1, attribute: 'loss', momentum: 0.5, minEvidence: 1 },
    });
    expect(parsed.sampling.terms).toEqual([
      { ...match, otherwise: 1 },
      { ...rarity, smoothing: 0 },
      { ...difficulty, clipPercentile: 95 },
    ]);
    expect(parsed.schedule?.stages).toBe(10);
    expect(parsed.adaptive?.maxShift).toBe(0.2);
  });

  test('the document of METHOD.md parses', () => {
    const document = {
      exclude: [{ name: 'motion', when: 'case.quality < 0.1' }],
      groups: ['site', 'labels'],
      target: {
        terms: [{ name: 'focus', kind: 'match', when: "case.site == 'B'", factor: 2.0 }],
      },
      sampling: {
        terms: [
          { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
          { name: 'small', kind: 'formula', expression: 'case.lesionMl < 1.0 ? 3.0 : 1.0' },
        ],
        temper: 1,
        floor: 0.2,
        cap: 5,
      },
      correction: { strength: 1 },
      schedule: null,
      adaptive: null,
    };
    expect(ruleDocumentSchema.parse(document)).toMatchObject({ groups: ['site', 'labels'] });
  });
});

describe('bounds', () => {
  test.each([
    ['/sampling/cap', { sampling: { cap: 0.99 } }],
    ['/sampling/cap', { sampling: { cap: Number.POSITIVE_INFINITY } }],
    ['/sampling/floor', { sampling: { floor: 0 } }],
    ['/sampling/floor', { sampling: { floor: -0.1 } }],
    ['/sampling/floor', { sampling: { floor: 1.01 } }],
    ['/sampling/temper', { sampling: { temper: 0 } }],
    ['/sampling/temper', { sampling: { temper: -1 } }],
    ['/correction/strength', { correction: { strength: -0.1 } }],
    ['/correction/strength', { correction: { strength: 1.1 } }],
    ['/correction/strength', { correction: { strength: Number.NaN } }],
    ['/schedule/epochs', { schedule: { kind: 'ramp', epochs: 0 } }],
    ['/schedule/stages', { schedule: { kind: 'ramp', epochs: 1, stages: 0 } }],
  ])('%s of %j is refused', (pointer, document) => {
    expect(pointers(document)).toEqual([pointer]);
  });

  test('floor and cap may both be 1', () => {
    const { sampling: bounds } = ruleDocumentSchema.parse({ sampling: { floor: 1, cap: 1 } });
    expect(bounds).toMatchObject({ floor: 1, cap: 1 });
  });

  test('messages say the bound', () => {
    expect(faults({ sampling: { cap: 0.5, floor: 2 } })).toEqual([
      '/sampling/floor: the floor is above 0 and at most 1',
      '/sampling/cap: the cap is at least 1',
    ]);
  });
});

describe('terms', () => {
  test.each<[string, unknown, string[]]>([
    ['a negative factor', { ...match, factor: -1 }, ['/sampling/terms/0/factor']],
    [
      'a factor that is not finite',
      { ...match, factor: Number.POSITIVE_INFINITY },
      ['/sampling/terms/0/factor'],
    ],
    ['an empty condition', { ...match, when: '' }, ['/sampling/terms/0/when']],
    ['no name', { ...match, name: '' }, ['/sampling/terms/0/name']],
    ['another kind', { name: 'x', kind: 'magic' }, ['/sampling/terms/0/kind']],
    ['nothing to be rare by', { ...rarity, by: [] }, ['/sampling/terms/0/by']],
    [
      'falling bins',
      { ...rarity, by: [{ attribute: 'x', bins: [2, 1] }] },
      ['/sampling/terms/0/by/0'],
    ],
    [
      'equal bins',
      { ...rarity, by: [{ attribute: 'x', bins: [1, 1] }] },
      ['/sampling/terms/0/by/0'],
    ],
    ['rarity without its power', { ...rarity, power: undefined }, ['/sampling/terms/0/power']],
    ['rarity with the other method’s beta', { ...rarity, beta: 0.9 }, ['/sampling/terms/0/beta']],
    [
      'effective-number without beta',
      { ...rarity, method: 'effective-number', power: undefined },
      ['/sampling/terms/0/beta'],
    ],
    [
      'effective-number with beta 1',
      { ...rarity, method: 'effective-number', power: undefined, beta: 1 },
      ['/sampling/terms/0/beta'],
    ],
    [
      'effective-number with a power',
      { ...rarity, method: 'effective-number', beta: 0.9 },
      ['/sampling/terms/0/method'],
    ],
    ['negative smoothing', { ...rarity, smoothing: -1 }, ['/sampling/terms/0/smoothing']],
    ['a scale of no length', { ...quality, to: 0 }, ['/sampling/terms/0/to']],
    [
      'a percentile over 100',
      { ...difficulty, clipPercentile: 101 },
      ['/sampling/terms/0/clipPercentile'],
    ],
    ['another measure', { ...difficulty, measure: 'iou' }, ['/sampling/terms/0/measure']],
  ])('with %s are refused', (_, term, expected) => {
    const found = pointers(sampling(term));
    expect(found.length).toBeGreaterThan(0);
    for (const pointer of found) {
      expect(expected.some((one) => pointer.startsWith(one))).toBe(true);
    }
  });

  test('of one list have different names; the lists are apart', () => {
    expect(faults(sampling(match, match))).toEqual([
      '/sampling/terms: two terms of one list have the same name',
    ]);
    expect(faults({ target: { terms: [match, { ...quality, name: 'm' }] } })).toEqual([
      '/target/terms: two terms of one list have the same name',
    ]);
    const both = { target: { terms: [match] }, ...sampling(match) };
    expect(ruleDocumentSchema.parse(both).target.terms).toHaveLength(1);
  });
});

describe('exclusions and groups', () => {
  test('are named once', () => {
    const motion = { name: 'motion', when: 'true' };
    expect(faults({ exclude: [motion, motion] })).toEqual([
      '/exclude: two exclusions have the same name',
    ]);
    expect(faults({ groups: ['site', 'site'] })).toEqual(['/groups: a group is named twice']);
  });
});

describe('keys that nobody knows are refused', () => {
  test.each<[string, unknown]>([
    ['/', { samplings: {} }],
    ['/sampling', { sampling: { flor: 0.1 } }],
    ['/target', { target: { floor: 0.1 } }],
    ['/correction', { correction: { beta: 1 } }],
    ['/sampling/terms/0', sampling({ ...match, otherwize: 2 })],
    ['/sampling/terms/0', sampling({ ...rarity, bins: [1] })],
    ['/exclude/0', { exclude: [{ name: 'a', when: 'true', reason: 'b' }] }],
    ['/schedule', { schedule: { kind: 'ramp', epochs: 1, stage: 2 } }],
    [
      '/adaptive',
      { adaptive: { everyEpochs: 1, attribute: 'x', momentum: 0, minEvidence: 1, max: 1 } },
    ],
  ])('at %s', (pointer, document) => {
    expect(faults(document)).toEqual([expect.stringMatching(`^${pointer}: Unrecognized key`)]);
  });
});

describe('a misspelt word is answered with those that there are', () => {
  test.each<[string, unknown, string]>([
    [
      'kind',
      sampling({ ...rarity, kind: 'rarety' }),
      '/sampling/terms/0/kind: "rarety" is no kind of term; the kinds are match, formula, rarity, quality and difficulty',
    ],
    [
      'kind that is missing',
      sampling({ name: 'x' }),
      '/sampling/terms/0/kind: a term has a kind; the kinds are match, formula, rarity, quality and difficulty',
    ],
    [
      'field of a term',
      sampling({ ...match, otherwize: 2 }),
      '/sampling/terms/0: Unrecognized key: "otherwize"; the fields of a match term are name, kind, when, factor, otherwise',
    ],
    [
      'list of terms',
      { samplin: {} },
      '/: Unrecognized key: "samplin"; the fields of a rule document are exclude, groups, target, sampling, correction, schedule, adaptive',
    ],
    [
      'field of bins',
      sampling({ ...rarity, by: [{ attribut: 'x', bins: [1] }] }),
      '/sampling/terms/0/by/0: Unrecognized key: "attribut"; the fields of an attribute with bins are attribute, bins; name an attribute, or a number with bins: {"attribute": NAME, "bins": [EDGES]}',
    ],
    [
      'entry of by',
      sampling({ ...rarity, by: [3] }),
      '/sampling/terms/0/by/0: name an attribute, or a number with bins: {"attribute": NAME, "bins": [EDGES]}',
    ],
    [
      'measure',
      sampling({ ...difficulty, measure: 'dise' }),
      '/sampling/terms/0/measure: Invalid option: expected one of "dice"|"loss"',
    ],
  ])('%s', (_, document, fault) => {
    expect(faults(document)).toEqual([fault]);
  });

  test('a term that is no object is refused as such', () => {
    expect(faults(sampling(null, 'match'))).toHaveLength(2);
  });
});
