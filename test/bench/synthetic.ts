// Cases with ten attributes each, made from their number: the same ones in every run.

import { gzipSync } from 'node:zlib';

const number = { type: 'number', origin: 'measured' };

export const attributes = {
  site: { type: 'string', origin: 'entered' },
  quality: number,
  lesionMl: number,
  spacingZ: number,
  noise: number,
  sharpness: number,
  age: number,
  dice: { type: 'number', required: false, origin: { model: 'baseline', evidence: 'outOfFold' } },
  contrast: { type: 'boolean', origin: 'entered' },
  labels: { type: 'labels', origin: 'measured' },
};

const quality = { from: 0.2, to: 0.8, factorAtFrom: 0.5, factorAtTo: 1 };

export const rules = {
  groups: ['site', 'labels'],
  sampling: {
    terms: [
      {
        name: 'rare',
        kind: 'rarity',
        by: ['labels', 'site'],
        method: 'inverse-frequency',
        power: 0.5,
      },
      { name: 'quality', kind: 'quality', attribute: 'quality', ...quality },
      { name: 'small', kind: 'formula', expression: 'case.lesionMl < 1.0 ? 3.0 : 1.0' },
      { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 0.5 },
    ],
  },
};

export const caseId = (k: number) => `case_${String(k).padStart(7, '0')}`;

function line(k: number): string {
  const part = (salt: number) => Math.abs(Math.sin(k * 12.9898 + salt)) % 1;
  const values = {
    site: `site${k % 7}`,
    quality: part(1),
    lesionMl: 10 * part(2),
    spacingZ: 1 + (k % 5),
    noise: part(3),
    sharpness: part(4),
    age: 20 + (k % 70),
    dice: part(5),
    contrast: k % 2 === 0,
    labels: k % 31 === 0 ? ['organ', 'lesion'] : ['organ'],
  };
  const files = [{ path: `imagesTr/case_${k}_0000.nii.gz`, sha256: 'a'.repeat(64) }];
  return `${JSON.stringify({ id: caseId(k), attributes: values, files })}\n`;
}

const partCases = 20_000;

/** The lines of all cases in gzipped parts, as they are uploaded. */
export function uploadParts(caseCount: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < caseCount; from += partCases) {
    const count = Math.min(partCases, caseCount - from);
    parts.push(gzipSync(Array.from({ length: count }, (_, k) => line(from + k)).join('')));
  }
  return parts;
}

/** Two of five folds: enough to freeze, and to compare one with the other. */
export function folds(caseCount: number): { train: string[]; val: string[] }[] {
  const ids = Array.from({ length: caseCount }, (_, k) => caseId(k));
  return [0, 1].map((fold) => ({
    train: ids.filter((_, k) => k % 5 !== fold),
    val: ids.filter((_, k) => k % 5 === fold),
  }));
}
