// What a database column cannot hold is refused where it comes in: in a case line, a report, a
// number of a version.

import { beforeAll, describe, expect, test } from 'vitest';
import { attributeFaults } from '../../api/contract/attributes.ts';
import { isStorableText, largestInteger } from '../../api/contract/shared.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { caseLines, committedDataset, must, rules } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';

test.each([
  ['', true],
  ['Zürich 肝 🫀', true],
  ['a\0b', false],
  ['a\ud800', false],
  ['\udc00a', false],
])('%j can be stored: %j', (text, storable) => {
  expect(isStorableText(text)).toBe(storable);
});

test.each([
  ['string', 'a\0b'],
  ['labels', ['organ', 'a\0b']],
  ['labels', ['organ', '\ud800']],
] as const)('an attribute of type %s with such a text is a fault', (type, value) => {
  const faults = attributeFaults({ x: value }, { x: { type, required: true } });
  expect(faults).toEqual([
    { name: 'x', detail: 'attribute "x" holds a zero character or half of a surrogate pair' },
  ]);
});

describe('a case line', () => {
  let api: TestApp;
  beforeAll(async () => {
    api = await openTestApp();
    await committedDataset(api, { count: 10 });
    await must(api, 201, 'POST', '/v1/datasets/phantom/versions', { base: 1, reason: 'more' });
  });
  const [good] = caseLines(1);

  test.each([
    ['attribute', { ...good, attributes: { ...good.attributes, site: 'a\0b' } }],
    ['path', { ...good, files: [{ path: 'a\0b', sha256: 'a'.repeat(64) }] }],
    ['id', { ...good, id: 'a\0b' }],
    ['name', { ...good, attributes: { ...good.attributes, 'a\0b': 1 } }],
  ])('with one in its %s is refused by line', async (_, line) => {
    const path = '/v1/datasets/phantom/versions/2/cases';
    const answer = await api.call('POST', path, `${JSON.stringify(line)}\n`);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].line).toBe(1);
  });

  test('of a version over 32 bits is not there', async () => {
    const number = largestInteger + 1;
    const freeze = { version: number, split: 'five-fold', fold: 0, ruleSet: 'x@1', reason: 'r' };
    const whatIf = { version: number, split: 'five-fold', fold: 0, rules };
    const { status } = await api.call('POST', '/v1/datasets/phantom/snapshots', freeze);
    expect(status).toBe(422);
    expect((await api.call('POST', '/v1/datasets/phantom/what-if', whatIf)).status).toBe(422);
    const named = { ...freeze, version: 1, ruleSet: `x@${number}` };
    const answer = await api.call('POST', '/v1/datasets/phantom/snapshots', named);
    expect([404, 422]).toContain(answer.status);
    const opened = { base: number, reason: 'r' };
    expect((await api.call('POST', '/v1/datasets/phantom/versions', opened)).status).toBe(422);
  });
});

describe('a report', () => {
  let api: JobTest;
  let id: string;
  beforeAll(async () => {
    api = await openJobTest();
    ({ id } = await api.launch());
  });
  const over = largestInteger + 1;
  const metric = { name: 'loss', value: 1, step: 0 };

  test.each([
    ['sequence', { sequence: over }],
    ['step', { sequence: 0, metrics: [{ ...metric, step: over }] }],
    ['epoch', { sequence: 0, metrics: [{ ...metric, epoch: over }] }],
    ['number of steps', { sequence: 0, progress: { step: 1, steps: over } }],
    ['count of a loss', { sequence: 0, caseLosses: [{ id: 'case_0001', loss: 1, seen: over }] }],
    ['name', { sequence: 0, metrics: [{ ...metric, name: 'a\0b' }] }],
    ['log', { sequence: 0, log: 'a\0b' }],
  ])('with a %s that cannot be stored is refused, not failed', async (_, report) => {
    const answer = await api.trainer(id).report(report);
    expect(answer.status).toBe(422);
    expect((await api.read(id)).state).not.toBe('failed');
  });
});
