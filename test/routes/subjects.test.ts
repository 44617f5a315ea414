// The subject attribute over HTTP: a fold may not have one subject on both of its sides, neither
// when the split is put nor when the cases have changed since.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { must, ndjsonOf } from '../support/builders.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

const attributes = { patient: { type: 'string', required: false }, age: { type: 'number' } };
const whole = { subjectAttribute: 'patient' };
const lineOf = (id: string, patient?: string) => ({
  id,
  attributes: { age: 50, ...(patient === undefined ? {} : { patient }) },
});

/** A draft with six cases of p0, p0, p1, p1, p2 and of nobody known. */
async function draft(name: string, { subjectAttribute }: { subjectAttribute?: string } = whole) {
  await must(api, 201, 'POST', '/v1/datasets', { name, attributes, subjectAttribute });
  await must(api, 201, 'POST', `/v1/datasets/${name}/versions`, { reason: 'import' });
  const path = `/v1/datasets/${name}/versions/1`;
  const patients = ['p0', 'p0', 'p1', 'p1', 'p2', undefined];
  const lines = patients.map((patient, k) => lineOf(`c${k}`, patient));
  await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
  return path;
}
const sound = [
  { train: ['c0', 'c1', 'c4'], val: ['c2', 'c3', 'c5'] },
  { train: ['c2', 'c3', 'c5'], val: ['c0', 'c1', 'c4'] },
];
const divided = [sound[0], { train: ['c1', 'c3', 'c5'], val: ['c0', 'c2', 'c4'] }];

describe('a split', () => {
  test('with a subject on both sides of a fold is refused, naming subjects and cases', async () => {
    const path = await draft('divided');
    const answer = await api.call('PUT', `${path}/splits/five-fold`, divided);
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toEqual([
      {
        pointer: '/1',
        caseId: 'c0',
        detail:
          'patient "p0" is on both sides of fold 1 of split "five-fold": "c1" to train, "c0" to validate; put all cases of a subject on one side',
      },
      {
        pointer: '/1',
        caseId: 'c2',
        detail: expect.stringContaining('patient "p1" is on both sides of fold 1'),
      },
    ]);
    expect((await must(api, 200, 'GET', path)).splits).toEqual({});
  });

  test('with whole subjects is stored; a case without a subject may stand anywhere', async () => {
    const path = await draft('whole');
    await must(api, 200, 'PUT', `${path}/splits/two`, sound);
    await must(api, 200, 'POST', `${path}/commit`, { reason: 'checked' });
  });

  test('is not looked at where the dataset has no subject attribute', async () => {
    const path = await draft('without', {});
    await must(api, 200, 'PUT', `${path}/splits/two`, divided);
    await must(api, 200, 'POST', `${path}/commit`, { reason: 'checked' });
  });

  test('names the first cases of a side and counts the others', async () => {
    const path = await draft('large');
    const lines = Array.from({ length: 9 }, (_, k) => lineOf(`x${k}`, 'px'));
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
    const fold = { train: lines.slice(0, 8).map(({ id }) => id), val: ['x8'] };
    const answer = await api.call('PUT', `${path}/splits/one`, [fold]);
    expect(answer.body.errors[0].detail).toContain(
      '"x0", "x1", "x2", "x3", "x4" and 3 more to train, "x8" to validate',
    );
  });
});

describe('a commit is refused', () => {
  const changes: [string, object[]][] = [
    ['the subject of a case changed after the split', [lineOf('c2', 'p0')]],
    ['a case got a subject after the split', [lineOf('c5', 'p0')]],
  ];
  test.each(changes)('where %s', async (what, lines) => {
    const name = what.replaceAll(' ', '-');
    const path = await draft(name);
    await must(api, 200, 'PUT', `${path}/splits/two`, sound);
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf(lines));
    const answer = await api.call('POST', `${path}/commit`, { reason: 'checked' });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain('patient "p0" is on both sides of fold 0 of split "two"');
    expect(answer.body.errors.map(({ pointer }: any) => pointer)).toEqual([
      '/splits/two/0',
      '/splits/two/1',
    ]);
    expect(await must(api, 200, 'GET', path)).toMatchObject({ state: 'draft', digest: null });
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([lineOf('c2', 'p1'), lineOf('c5')]));
    await must(api, 200, 'POST', `${path}/commit`, { reason: 'mended' });
  });
});

test.each([
  ['is not declared', 'person', 'must name a declared attribute of type string'],
  ['is a number', 'age', 'must name a declared attribute of type string'],
])('a subject attribute that %s is refused with the dataset', async (what, name, says) => {
  const body = { name: what.replaceAll(' ', '-'), attributes, subjectAttribute: name };
  const answer = await api.call('POST', '/v1/datasets', body);
  expect(answer.status).toBe(422);
  expect(answer.body.errors[0].pointer).toBe('/subjectAttribute');
  expect(answer.body.detail).toContain(says);
});
