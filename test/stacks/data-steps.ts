// From an empty service to frozen snapshots.

import { gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { attributes, caseLines, foldsOf, ndjsonOf, rules } from '../support/builders.ts';
import { type Chain, dataset, reason, type Step } from './chain.ts';

const lines = caseLines(40);
const ids = lines.map(({ id }) => id);
const split = { split: 'five-fold', fold: 0 };
const summary = {
  metric_per_case: ids
    .filter((_, k) => k % 5 === 0)
    .map((id) => ({ prediction_file: `${id}.nii.gz`, metrics: { 1: { Dice: 0.5 } } })),
};

async function makeDataset({ admin }: Chain): Promise<void> {
  const labels = { background: 0, organ: 1, lesion: 2 };
  const body = { name: 'liver', attributes, labels, channels: { '0': 'MRI' } };
  await admin.must(201, 'POST', '/v1/datasets', body);
  await admin.must(201, 'POST', '/v1/datasets', { ...body, name: 'kidney' });
  const origin = { model: 'm', evidence: 'outOfFold', split: 'five-fold' };
  const dice = { type: 'number', required: false, origin };
  const made = await admin.must(200, 'PUT', `${dataset}/attributes/dice`, dice);
  expect(Object.keys(made.attributes)).toContain('dice');
  await admin.must(201, 'POST', `${dataset}/versions`, { reason });
  await admin.must(204, 'DELETE', `${dataset}/versions/1`);
  const draft = await admin.must(201, 'POST', `${dataset}/versions`, { reason });
  expect(draft).toMatchObject({ number: 2, state: 'draft' });
}

async function upload({ admin }: Chain): Promise<void> {
  const path = `${dataset}/versions/2/cases`;
  const send = async (part: number, body: string | Uint8Array, more = {}) => {
    const headers = { 'content-type': 'application/x-ndjson', 'upload-part': `${part}`, ...more };
    const response = await admin.send('POST', path, { body, headers });
    return { status: response.status, body: (await response.json()) as any };
  };
  const stored = { received: 20, inserted: 20, updated: 0, removed: 0 };
  const plain = ndjsonOf(lines.slice(0, 20));
  const zipped = new Uint8Array(gzipSync(ndjsonOf(lines.slice(20))));
  expect(await send(0, plain)).toEqual({ status: 200, body: stored });
  const named = { 'content-encoding': 'gzip' };
  expect(await send(1, zipped, named)).toEqual({ status: 200, body: stored });
  expect(await send(1, zipped)).toEqual({ status: 200, body: stored });
  expect((await send(1, plain)).status).toBe(409);
  const bad = await send(2, `${JSON.stringify(lines[0])}\n{"id": "x"}\nnonsense\n`);
  expect([bad.status, bad.body.errors.map(({ line }: { line: number }) => line)]).toEqual([
    422,
    [2, 3],
  ]);
  const cut = await send(2, zipped.subarray(0, 200));
  expect([cut.status, cut.body.detail]).toEqual([422, expect.stringContaining('cut short')]);
}

async function commit({ admin }: Chain): Promise<void> {
  const path = `${dataset}/versions/2`;
  const folds = foldsOf(ids);
  await admin.must(200, 'PUT', `${path}/splits/five-fold`, folds);
  expect(await admin.must(200, 'GET', `${path}/splits/five-fold`)).toEqual(folds);
  const scores = `${path}/scores/dice?split=five-fold&fold=0&reason=${reason}`;
  const scored = await admin.must(200, 'PUT', scores, summary);
  expect(scored).toMatchObject({ scored: 8 });
  const version = await admin.must(200, 'POST', `${path}/commit`, { reason });
  expect(version).toMatchObject({ number: 2, state: 'committed', caseCount: 40 });
  await admin.must(409, 'POST', `${path}/commit`, { reason });
}

async function secondVersion({ admin }: Chain): Promise<void> {
  await admin.must(201, 'POST', `${dataset}/versions`, { base: 2, reason });
  const moved = { ...lines[1], attributes: { ...lines[1].attributes, quality: 0.9 } };
  const text = ndjsonOf([moved, { id: lines[2].id, removed: true }]);
  const counts = await admin.must(200, 'POST', `${dataset}/versions/3/cases`, text);
  expect(counts).toEqual({ received: 2, inserted: 0, updated: 1, removed: 1 });
  const without = (side: string[]) => side.filter((id) => id !== lines[2].id);
  const kept = foldsOf(ids).map(({ train, val }) => ({ train: without(train), val: without(val) }));
  await admin.must(200, 'PUT', `${dataset}/versions/3/splits/five-fold`, kept);
  const version = await admin.must(200, 'POST', `${dataset}/versions/3/commit`, { reason });
  expect(version.caseCount).toBe(39);
}

async function makeRules({ admin }: Chain): Promise<void> {
  const path = `${dataset}/rule-sets`;
  expect(await admin.must(200, 'POST', `${path}/check`, { rules })).toMatchObject({ ok: true });
  const wrong = { ...rules, exclude: [{ name: 'x', when: 'case.sharpness < 1.0' }] };
  const refused = await admin.must(422, 'POST', `${path}/check`, { rules: wrong });
  expect(refused.errors[0].pointer).toBe('/rules/exclude/0/when');
  await admin.must(201, 'POST', path, { name: 'rare', rules, reason });
  const second = { ...rules, sampling: { ...rules.sampling, cap: 3 } };
  await admin.must(201, 'POST', path, { name: 'rare', rules: second, reason });
  const history = await admin.must(200, 'GET', `${path}/rare/history`);
  expect(history.items).toHaveLength(2);
  const from = { dataset: 'liver', ruleSet: 'rare@1' };
  const copy = { from, name: 'copied', reason };
  await admin.must(201, 'POST', '/v1/datasets/kidney/rule-sets/copy', copy);
}

async function freeze({ admin, known }: Chain): Promise<void> {
  const asked = { version: 2, ...split, ruleSet: 'rare@1' };
  const said = await admin.must(200, 'POST', `${dataset}/what-if`, asked);
  const path = `${dataset}/snapshots`;
  const first = await admin.must(201, 'POST', path, { ...asked, reason });
  expect(first.diagnostics.effectiveFraction).toBe(said.diagnostics.effectiveFraction);
  const again = await admin.must(200, 'POST', path, { ...asked, reason: 'once more' });
  expect([again.id, again.reason]).toEqual([first.id, reason]);
  const { fold: _, ...several } = asked;
  const folds = { ...several, ruleSet: 'rare@2', folds: [0, 1], reason };
  const batch = await admin.must(201, 'POST', path, folds);
  const third = await admin.must(201, 'POST', path, { ...asked, version: 3, reason });
  known.snapshot = first.digest;
  known.ofFold1 = batch.items[1].digest;
  known.later = third.digest;
  expect(new Set([known.snapshot, known.later, batch.items[0].digest]).size).toBe(3);
}

export const dataSteps: Step[] = [
  ['a dataset is made, gets an attribute, and a draft is discarded', makeDataset],
  ['cases go in plain, zipped and in parts, a repeated part once, a bad one not at all', upload],
  ['a version gets its split and its scores and is committed once', commit],
  ['a later version costs what changed', secondVersion],
  ['rules are checked, stored by version and copied', makeRules],
  ['what-if says what freezing does, and the same inputs freeze once', freeze],
];
