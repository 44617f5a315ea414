// The demo's rule sets: whatever was measured, something is weighted, and the service takes it.

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ruleDocumentSchema } from '../../../api/contract/rule-sets.ts';
import { checkRules } from '../../../api/weights/rules.ts';
import { rulesText, uniformRules, weightedRules } from '../../../trainer/demo/rules.ts';
import { writePhantomDataset } from '../../../trainer/phantom.ts';
import type { CaseLine } from '../../../trainer/scan/measure.ts';
import { scanDataset } from '../../../trainer/scan/scan.ts';

const dir = await writePhantomDataset(mkdtempSync(join(tmpdir(), 'counterweight-rules-')), {
  cases: 20,
  shape: [8, 16, 16],
  lesionEvery: 5,
});
const { attributes, cases } = scanDataset(dir);
const lines: CaseLine[] = [];
for await (const scanned of cases) if ('line' in scanned) lines.push(scanned.line);

const faultsOf = (rules: unknown) => checkRules(ruleDocumentSchema.parse(rules), attributes);

/** The lines as of a dataset in which every case has every label. */
const alike = lines.map((line) => ({
  ...line,
  attributes: { ...line.attributes, labels: ['organ', 'lesion'] },
}));

describe('on a scanned folder', () => {
  test.each([
    ['uniform', uniformRules(lines)],
    ['weighted', weightedRules(lines)],
    ['weighted where all labels are alike', weightedRules(alike)],
  ])('the %s rules are sound', (_, rules) => {
    expect(faultsOf(rules)).toEqual([]);
  });

  test('the example to start from is sound', () => {
    const path = join(import.meta.dirname, '../../../trainer/demo/rules-rare-lesion.json');
    expect(faultsOf(JSON.parse(readFileSync(path, 'utf8')))).toEqual([]);
  });
});

describe('weighted rules', () => {
  const termsOf = (from: CaseLine[]) => (weightedRules(from) as any).sampling.terms as any[];

  test('take rare label sets where labels differ, and report by them', () => {
    expect(termsOf(lines)[0]).toMatchObject({ kind: 'rarity', by: ['labels'] });
    expect(weightedRules(lines).groups).toEqual(['labels']);
  });

  test('take the volume of the smallest class where labels are alike', () => {
    const [{ kind, by }] = termsOf(alike);
    expect([kind, by[0].attribute]).toEqual(['rarity', 'volumeMl_lesion']);
    expect(weightedRules(alike).groups).toEqual([]);
  });

  test('leave quality out where all images are equally good', () => {
    const equal = lines.map((line) => ({
      ...line,
      attributes: { ...line.attributes, quality: 0.5 },
    }));
    expect(termsOf(equal).map(({ kind }) => kind)).toEqual(['rarity']);
  });

  test('name a channel quality where there are several channels', () => {
    const channels = lines.map(({ attributes: { quality, ...rest }, ...line }, k) => ({
      ...line,
      attributes: { ...rest, quality_T1: k / 20, quality_T2: k / 10 },
    }));
    expect(termsOf(channels)[1]).toMatchObject({ kind: 'quality', attribute: 'quality_T1' });
  });
});

test('rules are shown a term a line; none say so', () => {
  expect(rulesText(uniformRules(lines))).toBe('no terms: every case is drawn alike');
  expect(rulesText(weightedRules(lines)).split('\n')[0]).toBe(
    'rare labels: {"kind":"rarity","by":["labels"],"method":"inverse-frequency","power":0.5}',
  );
});
