// A folder pushed into the real app: scanned attributes fit the schema that push declares, folds
// are stored, and an upload that broke off is continued.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createClient } from '../../../trainer/client.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { pushFolder } from '../../../trainer/commands/push.ts';
import { uniformRules, weightedRules } from '../../../trainer/demo/rules.ts';
import { writePhantomDataset } from '../../../trainer/phantom.ts';
import type { CaseLine } from '../../../trainer/scan/measure.ts';
import { openTestApp } from '../../support/app.ts';

const api = await openTestApp();
const dir = await writePhantomDataset(mkdtempSync(join(tmpdir(), 'counterweight-push-')), {
  cases: 40,
});
let broken = false;
const toApp = (async (url: string, init: RequestInit) => {
  if (broken && url.endsWith('/commit')) throw new TypeError('fetch failed');
  return await api.app.request(new URL(url).href.replace(new URL(url).origin, ''), init);
}) as typeof fetch;
const io: Io = { ...systemIo, say: () => {}, fetch: toApp, terminal: false };
const client = createClient({
  api: 'http://app',
  token: api.token,
  fetch: toApp,
  sleep: async () => {},
});

test('pushes a folder, and goes on with the draft when the line broke before the commit', async () => {
  broken = true;
  const options = { reason: 'import', split: 'five-fold' };
  await expect(pushFolder(io, client, dir, options)).rejects.toThrow('no service answers');
  broken = false;
  const pushed = await pushFolder(io, client, dir, options);
  expect(pushed).toMatchObject({ dataset: 'Phantom', version: 1, caseCount: 40, folds: 5 });
  const { items } = (await api.call('GET', '/v1/datasets/Phantom/versions')).body;
  expect(items.map(({ number, state }: any) => [number, state])).toEqual([[1, 'committed']]);
});

test('both rule sets of the demo are sound, and the weighted one draws the lesion more often', async () => {
  const response = await api.send('GET', '/v1/datasets/Phantom/versions/1/cases', undefined, {
    accept: 'application/x-ndjson',
  });
  const lines = (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as CaseLine);
  const share = async (rules: object) => {
    const body = { version: 1, split: 'five-fold', fold: 0, rules };
    const { groups } = (await api.call('POST', '/v1/datasets/Phantom/what-if', body)).body;
    return groups.find(({ value }: any) => value === 'lesion+organ');
  };
  const uniform = await share(uniformRules(lines));
  const weighted = await share(weightedRules(lines));
  expect(uniform.drawShare).toBeCloseTo(uniform.targetShare, 9);
  expect(weighted.drawShare).toBeGreaterThan(1.5 * weighted.targetShare);
  expect(weighted.effectiveTargetShare).toBeCloseTo(weighted.targetShare, 9);
});

test('where all label sets are alike, the demo weighs unusual volumes', () => {
  const lines = Array.from({ length: 20 }, (_, k) => ({
    id: String(k),
    attributes: { labels: ['a'], volumeMl_a: 1 + k, quality: k / 20 },
    files: [],
  }));
  expect(weightedRules(lines)).toMatchObject({
    groups: [],
    sampling: {
      terms: [
        { kind: 'rarity', by: [{ attribute: 'volumeMl_a', bins: [2, 18] }] },
        { kind: 'quality' },
      ],
    },
  });
});
