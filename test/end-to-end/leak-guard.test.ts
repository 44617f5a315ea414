// Scores of models from the validation of five folds to a frozen snapshot, and the leak guard on
// every way in which rules can read what a model made (METHOD.md section 8).

import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { termKinds } from '../../api/weights/terms/registry.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, must, ndjsonOf } from '../support/builders.ts';
import { summaryText } from '../support/summaries.ts';

const path = '/v1/datasets/phantom';
let api: TestApp;
let trainIds: string[];
const scoreOf = (id: string) => ((Number(id.slice(-2)) % 19) + 1) / 20;

beforeAll(async () => {
  api = await openTestApp();
  const { folds, lines } = await committedDataset(api, { count: 40 });
  trainIds = folds[0].train;
  const seen = {
    type: 'number',
    required: false,
    origin: { model: 'run 6', evidence: 'inTraining' },
  };
  await must(api, 200, 'PUT', `${path}/attributes/seenLoss`, seen);
  await must(api, 201, 'POST', `${path}/versions`, { base: 1, reason: 'scores of run 7' });
  const scored = lines.map((line, k) =>
    k % 4 === 0 ? { ...line, attributes: { ...line.attributes, seenLoss: (k % 10) / 20 } } : line,
  );
  await must(api, 200, 'POST', `${path}/versions/2/cases`, ndjsonOf(scored));
  for (const [fold, { val }] of folds.entries()) {
    const text = summaryText(Object.fromEntries(val.map((id) => [id, [scoreOf(id), null]])));
    const query = `split=five-fold&fold=${fold}&reason=run+7`;
    await must(api, 200, 'PUT', `${path}/versions/2/scores/dice7?${query}`, text);
  }
  await must(api, 200, 'POST', `${path}/versions/2/commit`, { reason: 'scored' });
});

const whatIf = async (rules: object, fold: number | 'all' = 0) =>
  await api.call('POST', `${path}/what-if`, { version: 2, split: 'five-fold', fold, rules });

test('five imported folds and a difficulty term make a snapshot that says what it shares', async () => {
  const term = { name: 'hard', kind: 'difficulty', attribute: 'dice7', measure: 'dice', power: 1 };
  const rules = { sampling: { terms: [term] } };
  await must(api, 201, 'POST', `${path}/rule-sets`, { name: 'hard', rules, reason: 'hard ones' });
  const body = { version: 2, split: 'five-fold', fold: 0, ruleSet: 'hard@1', reason: 'run 8' };
  const { diagnostics, digest } = await must(api, 201, 'POST', `${path}/snapshots`, body);
  expect(diagnostics.sharedValidation).toBe(1);
  expect(diagnostics.missing).toEqual({ dice7: 0 });
  const { cases } = await (
    await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, {
      accept: 'application/json',
    })
  ).json();
  const hardness = (id: string) => 1 - scoreOf(id) + 0.01;
  const byScore = cases.toSorted((a: any, b: any) => a.score - b.score).map(({ id }: any) => id);
  expect(hardness(byScore[0])).toBe(Math.min(...trainIds.map(hardness)));
  expect(scoreOf(byScore.at(-1))).toBeLessThan(0.1);
  expect((await whatIf(rules, 'all')).body.diagnostics.sharedValidation).toBe(0);
  expect((await whatIf({})).body.diagnostics.sharedValidation).toBe(0);
});

const factor = fc.double({ min: 0.5, max: 2, noNaN: true });
const edge = fc.double({ min: 0.05, max: 0.9, noNaN: true });
const cel = (value: number) => (Number.isInteger(value) ? `${value}.0` : value.toFixed(4));
const condition = (name: string) =>
  fc.oneof(
    fc.constant(`has(case.${name})`),
    fc.constant(`!has(case.${name}) || case.site == 'B'`),
    edge.map((value) => `has(case.${name}) && case.${name} < ${cel(value)}`),
    edge.map(
      (value) => `case.site == 'A' ? true : has(case.${name}) && case.${name} > ${cel(value)}`,
    ),
  );

/** Terms of each kind that read the attribute; a kind without an entry here fails to compile. */
const termsReading = (name: string): Record<keyof typeof termKinds, fc.Arbitrary<object>> => ({
  match: fc.record({ when: condition(name), factor }),
  formula: fc
    .tuple(condition(name), factor)
    .map(([when, value]) => ({ expression: `(${when}) ? ${cel(value)} : 1.0` })),
  rarity: fc.tuple(edge, fc.boolean()).map(([bin, crossed]) => ({
    by: [...(crossed ? ['site'] : []), { attribute: name, bins: [bin] }],
    method: 'inverse-frequency',
    power: 0.5,
  })),
  quality: fc.record({
    attribute: fc.constant(name),
    from: fc.constant(0),
    to: fc.constant(1),
    factorAtFrom: factor,
    factorAtTo: factor,
  }),
  difficulty: fc.record({
    attribute: fc.constant(name),
    measure: fc.constantFrom('dice', 'loss'),
    power: fc.constantFrom(0.5, 1, 2),
  }),
});

/** Rule documents that read the attribute by one term of any kind, or by an exclusion. */
const documents = (name: string): fc.Arbitrary<object> => {
  const terms = Object.entries(termsReading(name)).map(([kind, fields]) =>
    fc
      .tuple(fields, fc.constantFrom('target', 'sampling'))
      .map(([term, list]) => ({ [list]: { terms: [{ name: 't', kind, ...term }] } })),
  );
  const exclusions = edge.map((value) => ({
    exclude: [{ name: 'x', when: `has(case.${name}) && case.${name} > ${cel(value)}` }],
  }));
  return fc.oneof(...terms, exclusions);
};

test('every kind of term is among those that the guard is tried on', () => {
  expect(Object.keys(termsReading('x')).sort()).toEqual(Object.keys(termKinds).sort());
});

test('in-training evidence is refused by case, whatever reads it', async () => {
  const holders = trainIds.filter((id) => Number(id.slice(-2)) % 4 === 0);
  await fc.assert(
    fc.asyncProperty(documents('seenLoss'), async (rules) => {
      const { status, body } = await whatIf(rules);
      expect([status, body.detail]).toEqual([422, expect.stringContaining('trained on it')]);
      expect(body.errors.map(({ caseId }: any) => caseId)).toEqual(holders);
    }),
    { numRuns: 60 },
  );
});

test('out-of-fold evidence is taken and counted, whatever reads it', async () => {
  await fc.assert(
    fc.asyncProperty(documents('dice7'), async (rules) => {
      const { status, body } = await whatIf(rules);
      expect([status, body.detail]).toEqual([200, undefined]);
      expect(body.diagnostics.sharedValidation).toBe(1);
    }),
    { numRuns: 60 },
  );
});

test('a snapshot of in-training evidence is not stored', async () => {
  const term = { name: 't', kind: 'match', when: 'has(case.seenLoss)', factor: 2 };
  const rules = { sampling: { terms: [term] } };
  await must(api, 201, 'POST', `${path}/rule-sets`, { name: 'leaks', rules, reason: 'try' });
  const body = { version: 2, split: 'five-fold', fold: 0, ruleSet: 'leaks@1', reason: 'try' };
  const before = (await must(api, 200, 'GET', `${path}/snapshots`)).items.length;
  const answer = await api.call('POST', `${path}/snapshots`, body);
  expect(answer.status).toBe(422);
  expect(answer.body.errors[0].pointer).toBe('/sampling/terms/0');
  expect((await must(api, 200, 'GET', `${path}/snapshots`)).items).toHaveLength(before);
});
