// What the tests of the method share: case tables, rule documents and the known answers.

import { readFileSync } from 'node:fs';
import { attributeMapSchema } from '../../api/contract/attributes.ts';
import { type RuleDocumentInput, ruleDocumentSchema } from '../../api/contract/rule-sets.ts';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import type { CaseTable } from '../../api/weights/case-table.ts';
import { compareIds } from '../../api/weights/digest.ts';
import { type Resolved, resolveSnapshot } from '../../api/weights/resolve.ts';

export type KnownAnswers = {
  philox: { counter: number[]; key: number[]; words: number[] }[];
  allocation: {
    caseIds: string[];
    targetProbability: number[];
    score: number[];
    floor: number;
    cap: number;
    drawProbability: number[];
  }[];
  integers: { caseIds: string[]; numerators: string[]; units: string[] }[];
  snapshots: {
    header: SnapshotHeader;
    canonicalHeader: string;
    rows: [string, string, string, number][];
    chunkDigests: string[];
    digest: string;
  }[];
  draws: {
    snapshot: number;
    seed: number;
    epoch: number;
    drawsPerEpoch: number;
    first: string[];
    ledgerDigest: string;
  }[];
};

/** The known answers of METHOD.md, made without the product. */
export function knownAnswers(): KnownAnswers {
  const file = new URL('../vectors/method.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as KnownAnswers;
}

/** Rows of a known snapshot in digest order, as columns. */
export function snapshotColumns(snapshot: KnownAnswers['snapshots'][number]) {
  const rows = [...snapshot.rows].sort(([a], [b]) => compareIds(a, b));
  return {
    header: snapshot.header,
    ids: rows.map(([id]) => id),
    targetUnits: Float64Array.from(rows, ([, units]) => Number(units)),
    drawUnits: Float64Array.from(rows, ([, , units]) => Number(units)),
    lossFactors: Float64Array.from(rows, ([, , , factor]) => factor),
  };
}

/** Case ids a000000, a000001 ... in id order. */
export function caseIds(count: number): string[] {
  return Array.from({ length: count }, (_, k) => `a${String(k).padStart(6, '0')}`);
}

/** A table with these columns and made-up ids. */
export function table(columns: Record<string, unknown[]>, ids?: string[]): CaseTable {
  const count = Object.values(columns)[0]?.length ?? ids?.length ?? 0;
  return { ids: ids ?? caseIds(count), columns };
}

export type AttributesInput = Record<
  string,
  { type: 'number' | 'string' | 'boolean' | 'labels'; required?: boolean; origin?: unknown }
>;

/** Attributes and a rule document, with their defaults filled in. */
export function ruled(attributes: AttributesInput, rules: RuleDocumentInput) {
  return {
    attributes: attributeMapSchema.parse(attributes),
    rules: ruleDocumentSchema.parse(rules),
  };
}

/** A snapshot that must resolve. */
export function resolved(input: Parameters<typeof resolveSnapshot>[0]): Resolved {
  const result = resolveSnapshot(input);
  if (!result.ok) throw new Error(JSON.stringify(result.faults, null, 2));
  return result;
}

/** The faults of a snapshot that must not resolve. */
export function refused(input: Parameters<typeof resolveSnapshot>[0]) {
  const result = resolveSnapshot(input);
  if (result.ok) throw new Error('it resolved');
  return result.faults;
}

/** One number attribute `score`, used as the factor: any scores, as a rule set sees them. */
export function scoredCases(
  scores: number[],
  sampling: RuleDocumentInput['sampling'] = {},
  strength = 1,
) {
  return {
    cases: table({ score: scores }),
    ...ruled(
      { score: { type: 'number' } },
      {
        sampling: {
          terms: [{ name: 'score', kind: 'formula', expression: 'case.score' }],
          ...sampling,
        },
        correction: { strength },
      },
    ),
  };
}
