// The snapshot as the trainer holds it, checked from this side too, and everything drawn from it:
// the plan of an epoch, its ledger ranges, and the random stream that belongs to one draw.

import { createHash } from 'node:crypto';
import type { LedgerRange, SnapshotDocument } from '../api/contract/trainer.ts';
import { compareIds, snapshotDigest } from '../api/weights/digest.ts';
import { drawPlan } from '../api/weights/draws.ts';
import { ledgerDigest } from '../api/weights/ledger.ts';
import { philoxWords, type RandomWords } from '../api/weights/philox.ts';
import { TrainerError } from './settings.ts';

/** Cases in digest order; units are whole numbers out of 2^52, exact as doubles. */
export type Snapshot = {
  digest: string;
  ids: string[];
  drawUnits: Float64Array;
  lossFactorOf: (id: string) => number;
};

const wholeUnits = 2n ** 52n;

/** Refuses a fetched snapshot unless its sums are 2^52 and its digest is the one asked for. */
export function verifySnapshot(document: SnapshotDocument, digest: string): Snapshot {
  const { header } = document;
  const cases = document.cases.toSorted((a, b) => compareIds(a.id, b.id));
  const ids = cases.map((line) => line.id);
  const table = {
    ids,
    targetUnits: Float64Array.from(cases, (line) => Number(line.targetUnits)),
    drawUnits: Float64Array.from(cases, (line) => Number(line.drawUnits)),
    lossFactors: Float64Array.from(cases, (line) => line.lossFactor),
  };
  for (const list of ['targetUnits', 'drawUnits'] as const) {
    const sum = cases.reduce((total, line) => total + BigInt(line[list]), 0n);
    if (sum !== wholeUnits) refuse(digest, `its ${list} sum to ${sum}, not to 2^52`);
  }
  if (header.caseCount !== ids.length) {
    refuse(digest, `its header says ${header.caseCount} cases, but there are ${ids.length}`);
  }
  const found = snapshotDigest({ header, ...table });
  if (found !== digest) refuse(digest, `its content has the digest ${found}`);
  const lossFactors = new Map(cases.map((line) => [line.id, line.lossFactor]));
  return { digest, ids, drawUnits: table.drawUnits, lossFactorOf: (id) => lossFactors.get(id)! };
}

function refuse(digest: string, what: string): never {
  throw new TrainerError(`snapshot ${digest} was altered on the way: ${what}`);
}

/** Case ids of an epoch's draws in plan order (METHOD.md section 6). */
export function planEpoch(
  { digest, ids, drawUnits }: Snapshot,
  { seed, epoch, drawsPerEpoch }: { seed: number; epoch: number; drawsPerEpoch: number },
): string[] {
  const plan = drawPlan({ digest, drawUnits, seed, epoch, drawsPerEpoch });
  return Array.from(plan, (place) => ids[place]!);
}

/** The ledger entry of draws from ... from+draws-1 of a plan. */
export function ledgerRange(given: {
  epoch: number;
  snapshot: string;
  plan: string[];
  from: number;
  draws: number;
}): LedgerRange {
  const { epoch, snapshot, plan, from, draws } = given;
  return { epoch, snapshot, from, draws, digest: ledgerDigest(plan.slice(from, from + draws)) };
}

/** Random words that belong to one draw alone, so that a resumed run repeats its patch. */
export function drawStream(draw: { seed: number; epoch: number; position: number }): RandomWords {
  const text = `counterweight/patches/1|${draw.seed}|${draw.epoch}|${draw.position}`;
  const key = createHash('sha256').update(text).digest();
  return philoxWords([key.readUInt32LE(0), key.readUInt32LE(4)]);
}
