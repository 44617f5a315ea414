// Validation scores over HTTP: which cases may have one, what is stored, and that committed
// versions keep their values.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, foldsOf, must, ndjsonOf } from '../support/builders.ts';
import { summaryText } from '../support/summaries.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

/** A draft equal to a committed version of `count` cases in five folds. */
async function draft(name: string, count = 20) {
  const dataset = await committedDataset(api, { name, count });
  const path = `/v1/datasets/${name}/versions`;
  await must(api, 201, 'POST', path, { base: 1, reason: 'scores' });
  return { ...dataset, path: `${path}/2`, first: `${path}/1` };
}

const query = (fields: object = {}) =>
  new URLSearchParams({ split: 'five-fold', fold: '0', reason: 'run 7', ...fields }).toString();
const put = (path: string, text: string, { name = 'dice7', ...fields }: any = {}) =>
  api.call('PUT', `${path}/scores/${name}?${query(fields)}`, text, {
    'content-type': 'application/json',
  });
const valuesOf = async (path: string, name = 'dice7') =>
  Object.fromEntries(
    (await must(api, 200, 'GET', `${path}/cases?limit=500`)).items
      .filter(({ attributes }: any) => name in attributes)
      .map(({ id, attributes }: any) => [id, attributes[name]]),
  );
const lastEntry = async (action: string) =>
  (await must(api, 200, 'GET', `/v1/audit?action=${action}&limit=500`)).items.at(-1);

describe('scores of a fold', () => {
  test('become an attribute of the draft, declared on the way, and of no committed version', async () => {
    const { path, first, folds } = await draft('stored');
    const [a, b, c, d] = folds[0].val;
    const text = summaryText({ [a]: [0.5, 1], [b]: [0.25, null], [c]: [null, null] });
    const answer = await put(path, text);
    expect(answer).toEqual({
      status: 200,
      body: {
        attribute: 'dice7',
        split: 'five-fold',
        fold: 0,
        scored: 2,
        changed: 2,
        missing: [c, d],
        missingCount: 2,
      },
    });
    expect(await valuesOf(path)).toEqual({ [a]: 0.75, [b]: 0.25 });
    expect(await valuesOf(first)).toEqual({});
    const { attributes } = await must(api, 200, 'GET', '/v1/datasets/stored');
    expect(attributes.dice7).toEqual({
      type: 'number',
      required: false,
      origin: { model: 'dice7', evidence: 'outOfFold', split: 'five-fold' },
    });
    expect(await lastEntry('scores.imported')).toMatchObject({
      reason: 'run 7',
      detail: {
        attribute: 'dice7',
        split: 'five-fold',
        fold: 0,
        scored: 2,
        missing: 2,
        declared: true,
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      },
    });
  });

  test('change nothing when the same file comes again', async () => {
    const { path, folds } = await draft('repeated');
    const text = summaryText({ [folds[0].val[0]]: [0.5], [folds[0].val[1]]: [0.1 + 0.2] });
    const before = (await put(path, text)).body;
    const values = await valuesOf(path);
    expect(values[folds[0].val[1]]).toBe(0.1 + 0.2);
    expect((await put(path, text)).body).toEqual({ ...before, changed: 0 });
    expect(await valuesOf(path)).toEqual(values);
  });

  test('replace those that the fold had, and leave other folds alone', async () => {
    const { path, folds } = await draft('replaced');
    const [a, b] = folds[0].val;
    await put(path, summaryText({ [folds[1].val[0]]: [0.9] }), { fold: '1' });
    await put(path, summaryText({ [a]: [0.5], [b]: [0.6] }));
    const { body } = await put(path, summaryText({ [a]: [0.7], [b]: [null] }));
    expect(body).toMatchObject({ scored: 1, changed: 2 });
    expect(await valuesOf(path)).toEqual({ [a]: 0.7, [folds[1].val[0]]: 0.9 });
  });

  test('stay with the version that they were committed in', async () => {
    const { path, folds, name } = await draft('versions');
    const [a, b] = folds[0].val;
    await put(path, summaryText({ [a]: [0.5], [b]: [0.6] }));
    await must(api, 200, 'POST', `${path}/commit`, { reason: 'scored' });
    const versions = `/v1/datasets/${name}/versions`;
    await must(api, 201, 'POST', versions, { base: 2, reason: 'next run' });
    const next = await put(`${versions}/3`, summaryText({ [a]: [0.8], [b]: [0.6] }));
    expect(next.body.changed).toBe(1);
    expect(await valuesOf(path)).toEqual({ [a]: 0.5, [b]: 0.6 });
    expect(await valuesOf(`${versions}/3`)).toEqual({ [a]: 0.8, [b]: 0.6 });
    await must(api, 200, 'POST', `${versions}/3/commit`, { reason: 'scored again' });
    const again = await put(path, summaryText({ [a]: [0.1] }));
    expect(again.status).toBe(409);
    expect(again.body.detail).toContain('Open a new version with base 2');
    expect(await valuesOf(path)).toEqual({ [a]: 0.5, [b]: 0.6 });
  });

  test('are taken back when the draft is discarded', async () => {
    const { path, first, folds, lines } = await draft('discarded');
    await put(path, summaryText({ [folds[0].val[0]]: [0.5] }));
    await must(api, 204, 'DELETE', path);
    expect((await must(api, 200, 'GET', `${first}/cases?limit=500`)).items).toEqual(lines);
  });

  test('reach cases that the draft itself added or removed', async () => {
    const { path, folds, lines } = await draft('mixed');
    const [a, b] = folds[0].val;
    const added = { ...lines[0], id: 'new_case' };
    await must(api, 200, 'POST', `${path}/cases`, ndjsonOf([added, { id: b, removed: true }]));
    const ids = [...lines.map(({ id }) => id).filter((id) => id !== b), 'new_case'];
    const sides = {
      train: ids.filter((id) => ![a, 'new_case'].includes(id)),
      val: [a, 'new_case'],
    };
    await must(api, 200, 'PUT', `${path}/splits/mine`, [sides]);
    const text = summaryText({ [a]: [0.5], new_case: [0.25] });
    expect((await put(path, text, { split: 'mine' })).body).toMatchObject({
      scored: 2,
      changed: 2,
    });
    expect(await valuesOf(path)).toEqual({ [a]: 0.5, new_case: 0.25 });
    const gone = await put(path, summaryText({ [b]: [0.5] }), { name: 'other' });
    expect(gone.body.errors[0].detail).toContain(`"${b}" is not a case of version 2`);
  });
});

describe('refuses, storing nothing,', () => {
  let path: string;
  let train: string[];
  let val: string[];
  beforeAll(async () => {
    const made = await draft('refusing');
    [path, train, val] = [made.path, made.folds[0].train, made.folds[0].val];
  });
  const good = () => ({ [val[0]]: [0.5] });

  test.each<[string, () => string, string, () => string | undefined]>([
    [
      'a case of the training side',
      () => summaryText({ ...good(), [train[0]]: [0.5] }),
      'on its training side: that model has seen it',
      () => train[0],
    ],
    [
      'an unknown case',
      () => summaryText({ ...good(), ghost: [0.5] }),
      'not a case',
      () => 'ghost',
    ],
    [
      'a case named twice',
      () =>
        JSON.stringify({
          metric_per_case: ['x', 'y'].map((folder) => ({
            metrics: { '1': { Dice: 0.5 } },
            prediction_file: `${folder}/${val[0]}.nii.gz`,
          })),
        }),
      'named twice',
      () => val[0],
    ],
    ['a Dice over 1', () => summaryText({ ...good(), [val[1]]: [1.5] }), '0 to 1', () => val[1]],
    [
      'an infinite Dice',
      () => summaryText({ ...good(), [val[1]]: [0.5] }).replace('0.5', 'Infinity'),
      'Dice of Infinity',
      () => val[0],
    ],
    [
      'a zero character in an id',
      () => summaryText({ ...good(), 'a\\u0000b': [0.5] }),
      'is not a case',
      () => undefined,
    ],
  ])('%s', async (_, text, says, caseId) => {
    const head = await must(api, 200, 'GET', '/v1/audit/head');
    const answer = await put(path, text(), { name: 'refused' });
    expect(answer.status).toBe(422);
    expect(answer.body.errors).toHaveLength(1);
    expect(answer.body.errors[0].detail).toContain(says);
    if (caseId() !== undefined) expect(answer.body.errors[0].caseId).toBe(caseId());
    expect(await valuesOf(path, 'refused')).toEqual({});
    const { attributes } = await must(api, 200, 'GET', '/v1/datasets/refusing');
    expect(attributes).not.toHaveProperty('refused');
    expect(await must(api, 200, 'GET', '/v1/audit/head')).toEqual(head);
  });

  test.each([
    ['a text', { type: 'string', required: false }, 'is a string that is of no stated origin'],
    ['a measured number', { type: 'number', origin: 'measured' }, 'is a number that is measured'],
    [
      'in-training evidence',
      { type: 'number', origin: { model: 'm', evidence: 'inTraining' } },
      'in-training evidence of model "m" for no stated split',
    ],
    [
      'scores of another split',
      { type: 'number', origin: { model: 'm', evidence: 'outOfFold', split: 'ten-fold' } },
      'for split "ten-fold"',
    ],
  ])('an attribute that is %s', async (what, attribute, says) => {
    const name = what.replaceAll(/\W/g, '_');
    const body = { ...attribute, required: false };
    await must(api, 200, 'PUT', `/v1/datasets/refusing/attributes/${name}`, body);
    const answer = await put(path, summaryText(good()), { name });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain(says);
    expect(await valuesOf(path, name)).toEqual({});
  });

  test('scores of another model under one name', async () => {
    expect((await put(path, summaryText(good()), { name: 'named', model: 'm1' })).status).toBe(200);
    expect((await put(path, summaryText(good()), { name: 'named' })).status).toBe(200);
    const answer = await put(path, summaryText(good()), { name: 'named', model: 'm2' });
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain('of model "m1"');
  });

  test.each([
    ['no reason', { reason: ' ' }, 400, 'say why'],
    ['fold all', { fold: 'all' }, 400, 'no validation side'],
    ['an empty fold', { fold: '' }, 400, 'no validation side'],
    ['a fold that is not there', { fold: '5' }, 404, 'folds 0 to 4'],
    ['a split that is not there', { split: 'none' }, 404, 'no split "none"'],
  ])('%s', async (_, fields, status, says) => {
    const answer = await put(path, summaryText(good()), fields);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toContain(says);
  });

  test.each([
    ['no JSON', 'metric_per_case', 400, 'not valid JSON'],
    ['another document', '[]', 422, "not nnU-Net's summary.json"],
    ['no cases', '{"metric_per_case": []}', 422, 'no cases'],
    [
      'a case without a file',
      '{"metric_per_case": [{"metrics": {"1": {"Dice": 1}}}]}',
      422,
      'neither prediction_file nor reference_file',
    ],
    [
      'a label without a Dice',
      '{"metric_per_case": [{"metrics": {"1": {"IoU": 1}}, "prediction_file": "a"}]}',
      422,
      '/metric_per_case/0/metrics/1/Dice',
    ],
  ])('a file with %s', async (_, text, status, says) => {
    const answer = await put(path, text);
    expect(answer.status).toBe(status);
    expect(answer.body.detail).toContain(says);
  });
});

test('names a hundred missing cases and counts all', async () => {
  const { path, lines } = await draft('many', 300);
  const [first, ...rest] = lines.map(({ id }) => id);
  const folds = [{ train: [first], val: rest }];
  await must(api, 200, 'PUT', `${path}/splits/one`, folds);
  const answer = await put(path, summaryText({ [rest[0]]: [0.5] }), { split: 'one' });
  expect(answer.body.missing).toEqual(rest.slice(1, 101));
  expect(answer.body.missingCount).toBe(298);
});

test('five folds give every case a score', async () => {
  const { path, lines } = await draft('five', 20);
  const folds = foldsOf(lines.map(({ id }) => id));
  for (const [fold, { val }] of folds.entries()) {
    const text = summaryText(Object.fromEntries(val.map((id, k) => [id, [k / 10, 0.5]])));
    const answer = await put(path, text, { fold: String(fold) });
    expect(answer.body).toMatchObject({ scored: 4, changed: 4, missing: [], missingCount: 0 });
  }
  expect(Object.keys(await valuesOf(path))).toEqual(lines.map(({ id }) => id));
});
