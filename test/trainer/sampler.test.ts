// The trainer checks what it fetched, draws by the known plan, and signs for what it drew.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import type { SnapshotDocument } from '../../api/contract/trainer.ts';
import { drawStream, ledgerRange, planEpoch, verifySnapshot } from '../../trainer/sampler.ts';

type Vectors = {
  snapshots: { header: SnapshotHeader; rows: [string, string, string, number][]; digest: string }[];
  draws: {
    snapshot: number;
    seed: number;
    epoch: number;
    drawsPerEpoch: number;
    first: string[];
    ledgerDigest: string;
  }[];
};

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/method.json', import.meta.url), 'utf8'),
);

function documentOf(index: number): SnapshotDocument {
  const { header, rows, digest } = vectors.snapshots[index]!;
  const cases = rows.map(([id, targetUnits, drawUnits, lossFactor]) => ({
    id,
    targetUnits,
    drawUnits,
    lossFactor,
  }));
  return { digest, header, cases };
}

test('every known snapshot is accepted with its digest', () => {
  vectors.snapshots.forEach(({ digest, rows }, index) => {
    const snapshot = verifySnapshot(documentOf(index), digest);
    expect(snapshot.ids).toHaveLength(rows.length);
    for (const [id, , , lossFactor] of rows) expect(snapshot.lossFactorOf(id)).toBe(lossFactor);
  });
});

test('every known plan is drawn, and its ledger signed', () => {
  for (const known of vectors.draws) {
    const { seed, epoch, drawsPerEpoch } = known;
    const { digest } = vectors.snapshots[known.snapshot]!;
    const snapshot = verifySnapshot(documentOf(known.snapshot), digest);
    const plan = planEpoch(snapshot, { seed, epoch, drawsPerEpoch });
    expect(plan.slice(0, known.first.length)).toEqual(known.first);
    expect(ledgerRange({ epoch, snapshot: digest, plan, from: 0, draws: drawsPerEpoch })).toEqual({
      epoch,
      snapshot: digest,
      from: 0,
      draws: drawsPerEpoch,
      digest: known.ledgerDigest,
    });
  }
});

const last = vectors.snapshots.length - 1;

test.each<[string, (document: SnapshotDocument) => void, string]>([
  [
    'a unit moved from one case to another',
    ({ cases }) => {
      cases[0]!.drawUnits = String(BigInt(cases[0]!.drawUnits) + 1n);
      cases[1]!.drawUnits = String(BigInt(cases[1]!.drawUnits) - 1n);
    },
    'digest',
  ],
  [
    'a unit too many',
    ({ cases }) => {
      cases[0]!.drawUnits = String(BigInt(cases[0]!.drawUnits) + 1n);
    },
    'drawUnits sum to 4503599627370497',
  ],
  [
    'a loss factor that differs in its last digit',
    ({ cases }) => {
      cases[0]!.lossFactor *= 1 + Number.EPSILON;
    },
    'digest',
  ],
  ['a case left out', ({ cases }) => cases.splice(0, 1), 'sum to'],
  [
    'another case in the place of one',
    ({ cases }) => {
      cases[0]!.id = `${cases[0]!.id}x`;
    },
    'digest',
  ],
  [
    'a header that says something else',
    ({ header }) => {
      header.strength = 0.5;
    },
    'digest',
  ],
])('refuses a snapshot with %s', (_what, alter, reason) => {
  const document = documentOf(last);
  document.header = { ...document.header };
  alter(document);
  expect(() => verifySnapshot(document, vectors.snapshots[last]!.digest)).toThrow(reason);
});

test('a draw has its own stream of random words, the same every time', () => {
  const take = (seed: number, epoch: number, position: number) => {
    const random = drawStream({ seed, epoch, position });
    return Array.from({ length: 1000 }, () => random.word() / 2 ** 32);
  };
  expect(take(1, 2, 3)).toEqual(take(1, 2, 3));
  const streams = [take(1, 2, 3), take(1, 2, 4), take(1, 3, 3), take(2, 2, 3)];
  expect(new Set(streams.map((numbers) => numbers[0])).size).toBe(4);
  for (const numbers of streams) {
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
  }
});
