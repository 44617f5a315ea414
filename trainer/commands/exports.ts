// Exports checked without trusting the service: a snapshot against its digest, an epoch's draws
// against the plan, a job's ledger against both.

import type { LedgerEpoch } from '../../api/contract/jobs.ts';
import { type SnapshotDocument, snapshotDocumentSchema } from '../../api/contract/trainer.ts';
import {
  compareIds,
  runningDigest,
  scoresDigest as scoresDigestOf,
} from '../../api/weights/digest.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { exitCodes, type Failure, failure } from '../client.ts';
import { readDocument, readJsonLines } from './files.ts';

/**
 * An exported snapshot: one JSON document, or with `header` the streamed NDJSON lines and the
 * document of `GET /v1/snapshots/{snapshot}` beside them. Any other file is a usage failure.
 */
export function readSnapshotFile(file: string, header?: string): SnapshotDocument {
  const document =
    header === undefined
      ? readDocument(file)
      : { ...(readDocument(header) as object), cases: readJsonLines(file) };
  const read = snapshotDocumentSchema.safeParse(document);
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw noSnapshot(file, `${path.join('.') || 'document'}: ${message}`);
}

/** The failure of a file that is no export, with what to give instead. */
export const noSnapshot = (file: string, why: string): Failure =>
  failure(
    `${file} is no exported snapshot (${why}). Make one with "counterweight snapshot ... --export FILE", or give streamed lines and --header FILE, the JSON of GET /v1/snapshots/{snapshot}.`,
    exitCodes.usage,
  );

/** What is wrong with an exported snapshot, or null. */
export function snapshotFault(document: SnapshotDocument): string | null {
  const { digest, header, cases, scoresDigest } = document;
  for (const units of ['targetUnits', 'drawUnits'] as const) {
    const sum = cases.reduce((total, one) => total + BigInt(one[units]), 0n);
    if (sum !== 2n ** 52n) return `${units} sum to ${sum}, not 2^52`;
  }
  if (header.caseCount !== cases.length)
    return `the header says ${header.caseCount} cases, the file has ${cases.length}`;
  const running = runningDigest(header);
  for (const [k, { id, targetUnits, drawUnits, lossFactor }] of cases.entries()) {
    if (k > 0 && compareIds(cases[k - 1].id, id) >= 0) return `case "${id}" is not in id order`;
    running.add(id, targetUnits, drawUnits, lossFactor);
  }
  const found = running.digest();
  if (found !== digest) return `the digest of the cases is ${found}, not ${digest}`;
  const scores = scoresDigestOf(Float64Array.from(cases, ({ score }) => score ?? Number.NaN));
  return typeof scoresDigest !== 'string' || scoresDigest === scores
    ? null
    : `the digest of the scores is ${scores}, not ${scoresDigest}`;
}

export type EpochOfDraws = { seed: number; epoch: number; draws: number };

/** The draws of an epoch from a snapshot, and their ledger digest. */
export function replay(
  { digest, cases }: SnapshotDocument,
  { seed, epoch, draws }: EpochOfDraws,
): { ids: string[]; ledger: string } {
  const drawUnits = Float64Array.from(cases, (one) => Number(one.drawUnits));
  const plan = drawPlan({ digest, drawUnits, seed, epoch, drawsPerEpoch: draws });
  const ids = Array.from(plan, (place) => cases[place].id);
  return { ids, ledger: ledgerDigest(ids) };
}

export type LedgerVerdict = {
  /** Epochs whose reported digest is the one of the plan replayed here. */
  replayed: number;
  /** Epochs reported in parts: their digests cannot be compared as a whole. */
  inParts: number;
  faults: string[];
};

/** A job's ledger against its plan; `documents` holds every snapshot that the job drew by. */
export function ledgerVerdict(
  { seed, epochs }: { seed: number; epochs: number },
  ledger: LedgerEpoch[],
  documents: Map<string, SnapshotDocument>,
): LedgerVerdict {
  const verdict: LedgerVerdict = { replayed: 0, inParts: 0, faults: [] };
  for (let epoch = 0; epoch < epochs; epoch++) {
    const reported = ledger.find((one) => one.epoch === epoch);
    if (reported === undefined) verdict.faults.push(`epoch ${epoch} was not reported`);
    else if (reported.state === 'mismatch')
      verdict.faults.push(`epoch ${epoch}: the draws are not the planned ones`);
    else if (reported.state === 'partial')
      verdict.faults.push(
        `epoch ${epoch}: ${reported.draws} of ${reported.drawsPerEpoch} draws were reported`,
      );
    else if (reported.digest === null) verdict.inParts++;
    else {
      const document = documents.get(reported.snapshot) as SnapshotDocument;
      const draws = reported.drawsPerEpoch;
      const { ledger: planned } = replay(document, { seed, epoch, draws });
      if (planned === reported.digest) verdict.replayed++;
      else
        verdict.faults.push(
          `epoch ${epoch}: the plan gives ${planned}, the trainer reported ${reported.digest}`,
        );
    }
  }
  return verdict;
}
