// Datasets as tests need them, made through the API itself.

import type { Sending } from './app.ts';

export const attributes = {
  site: { type: 'string', origin: 'entered' },
  quality: { type: 'number', origin: 'measured' },
  lesionMl: { type: 'number', unit: 'ml', required: false, origin: 'measured' },
  labels: { type: 'labels', origin: 'measured' },
};

/** `count` cases: every tenth has a lesion, two sites, quality from 0.05 to 1. */
export function caseLines(count: number) {
  return Array.from({ length: count }, (_, k) => ({
    id: `case_${String(k).padStart(4, '0')}`,
    attributes: {
      site: k % 3 === 0 ? 'B' : 'A',
      quality: ((k * 7) % 20) / 20 + 0.05,
      labels: k % 10 === 0 ? ['organ', 'lesion'] : ['organ'],
      ...(k % 10 === 0 ? { lesionMl: 0.5 + k / 100 } : {}),
    },
    files: [{ path: `imagesTr/case_${k}_0000.nii.gz`, sha256: 'a'.repeat(64) }],
  }));
}

export const ndjsonOf = (items: unknown[]) =>
  items.map((item) => `${JSON.stringify(item)}\n`).join('');

export function foldsOf(ids: string[], count = 5) {
  return Array.from({ length: count }, (_, fold) => ({
    train: ids.filter((_, k) => k % count !== fold),
    val: ids.filter((_, k) => k % count === fold),
  }));
}

export const rules = {
  groups: ['site', 'labels'],
  exclude: [{ name: 'motion', when: 'case.quality < 0.2' }],
  target: { terms: [] },
  sampling: {
    terms: [
      { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
      {
        name: 'sharp',
        kind: 'quality',
        attribute: 'quality',
        from: 0.2,
        to: 0.8,
        factorAtFrom: 0.5,
        factorAtTo: 1,
      },
    ],
    floor: 0.2,
    cap: 5,
  },
  correction: { strength: 1 },
};

/** A dataset with one committed version and a five-fold split. */
export async function committedDataset(
  test: Sending,
  { name = 'phantom', count = 40 }: { name?: string; count?: number } = {},
) {
  const labels = { background: 0, organ: 1, lesion: 2 };
  const body = { name, attributes, labels, channels: { '0': 'MRI' } };
  await must(test, 201, 'POST', '/v1/datasets', body);
  const path = `/v1/datasets/${name}/versions`;
  await must(test, 201, 'POST', path, { reason: 'first import' });
  const lines = caseLines(count);
  await must(test, 200, 'POST', `${path}/1/cases`, ndjsonOf(lines));
  const folds = foldsOf(lines.map((line) => line.id));
  await must(test, 200, 'PUT', `${path}/1/splits/five-fold`, folds);
  const version = await must(test, 200, 'POST', `${path}/1/commit`, { reason: 'checked' });
  return { name, lines, folds, version };
}

/** A committed dataset, its rule set, and a snapshot of fold 0. */
export async function frozenSnapshot(
  test: Sending,
  {
    name = 'phantom',
    count = 40,
    ruleDocument = rules as unknown,
  }: { name?: string; count?: number; ruleDocument?: unknown } = {},
) {
  const dataset = await committedDataset(test, { name, count });
  const ruleSet = { name: 'rare', rules: ruleDocument, reason: 'lesions are rare' };
  await must(test, 201, 'POST', `/v1/datasets/${name}/rule-sets`, ruleSet);
  const body = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'rare@1', reason: 'first run' };
  const snapshot = await must(test, 201, 'POST', `/v1/datasets/${name}/snapshots`, body);
  return { ...dataset, snapshot };
}

/** Calls and insists on a status, so that a failing arrangement says what went wrong. */
export async function must(
  test: Sending,
  status: number,
  method: string,
  path: string,
  body?: unknown,
) {
  const answer = await test.call(method, path, body);
  if (answer.status !== status) {
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
