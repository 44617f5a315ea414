// Rule sets over HTTP: versions of a name, and refusals that point at field and character.

import { beforeAll, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, must, rules } from '../support/builders.ts';

let api: TestApp;
const path = '/v1/datasets/phantom/rule-sets';
beforeAll(async () => {
  api = await openTestApp();
  await committedDataset(api);
});

test('numbers the versions of a name and finds each by it', async () => {
  const first = await must(api, 201, 'POST', path, { name: 'r', rules, reason: 'one' });
  const changed = { ...rules, sampling: { ...rules.sampling, cap: 3 } };
  const second = await must(api, 201, 'POST', path, { name: 'r', rules: changed, reason: 'two' });
  expect([first.version, second.version]).toEqual([1, 2]);
  expect(first.digest).not.toBe(second.digest);
  expect(await must(api, 200, 'GET', `${path}/r@1`)).toEqual(first);
  expect(await must(api, 200, 'GET', `${path}/r`)).toEqual(second);
});

test('gives the same digest to documents that say the same', async () => {
  const spelled = {
    sampling: { terms: [], floor: 0.2, cap: 5, temper: 1 },
    correction: { strength: 1 },
  };
  const short = await must(api, 201, 'POST', path, { name: 'short', rules: {}, reason: 'x' });
  const long = await must(api, 201, 'POST', path, { name: 'long', rules: spelled, reason: 'x' });
  expect(short.digest).toBe(long.digest);
});

const term = (fields: object) => ({ sampling: { terms: [{ name: 't', ...fields }] } });
test.each([
  ['a cap below 1', { sampling: { cap: 0.5 } }, '/rules/sampling/cap', 'at least 1'],
  ['a floor of 0', { sampling: { floor: 0 } }, '/rules/sampling/floor', ''],
  ['a misspelt key', { sampling: { flor: 0.2 } }, '/rules/sampling', 'flor'],
  [
    'a condition that is no bool',
    term({ kind: 'match', when: 'case.quality', factor: 2 }),
    '/rules/sampling/terms/0/when',
    'bool',
  ],
  [
    'a misspelt attribute',
    term({ kind: 'match', when: 'case.qualty < 0.1', factor: 2 }),
    '/rules/sampling/terms/0/when',
    'did you mean "quality"',
  ],
  [
    'a regular expression',
    term({ kind: 'match', when: "case.site.matches('A+')", factor: 2 }),
    '/rules/sampling/terms/0/when',
    'matches',
  ],
  [
    'rarity by a number without bins',
    term({ kind: 'rarity', by: ['quality'], method: 'inverse-frequency', power: 1 }),
    '/rules/sampling/terms/0/by/0',
    '',
  ],
])('refuses %s, pointing at it, and stores nothing', async (_, document, pointer, says) => {
  const before = (await must(api, 200, 'GET', path)).items.length;
  for (const [url, body] of [
    [`${path}/check`, { rules: document }],
    [path, { name: 'bad', rules: document, reason: 'x' }],
  ] as const) {
    const answer = await api.call('POST', url, body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe(pointer);
    expect(answer.body.errors[0].detail).toContain(says);
  }
  expect((await must(api, 200, 'GET', path)).items).toHaveLength(before);
});

test('gives the character range of a fault in an expression', async () => {
  const document = term({ kind: 'match', when: 'case.site == 1', factor: 2 });
  const answer = await api.call('POST', `${path}/check`, { rules: document });
  expect(answer.body.errors[0].range).toEqual({ from: 0, to: 14 });
});
