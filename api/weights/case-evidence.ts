// What an adaptive child knows of the cases: the mean loss of each, as the run itself reported it,
// folded by an exponential average (METHOD.md section 8).

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { CaseEvidence, ReportedLoss } from '../contract/trainer.ts';
import { floatHex } from './digest.ts';
import { sumOf } from './sums.ts';

/**
 * Evidence with what was reported since: momentum times what was known plus the rest of the new
 * mean; the first report of a case counts whole. Cases that are not among `ids` are passed over.
 */
export function foldedEvidence(
  before: CaseEvidence | null,
  {
    ids,
    reported,
    momentum,
  }: {
    ids: string[];
    reported: ReadonlyMap<string, ReportedLoss>;
    momentum: number;
  },
): CaseEvidence {
  const losses = before?.losses.slice() ?? new Float64Array(ids.length);
  const seen = before?.seen.slice() ?? new Float64Array(ids.length);
  ids.forEach((id, k) => {
    const found = reported.get(id);
    if (found === undefined || found.seen === 0) return;
    losses[k] = seen[k] === 0 ? found.loss : momentum * losses[k] + (1 - momentum) * found.loss;
    seen[k] += found.seen;
  });
  return { losses, seen };
}

/**
 * The attribute's value for every case: its folded loss, or where it was seen in fewer than
 * `minEvidence` draws the mean of those that were seen often enough. Null where none was.
 */
export function evidenceColumn(
  { losses, seen }: CaseEvidence,
  minEvidence: number,
): Float64Array | null {
  const known = [...seen.keys()].filter((k) => seen[k] >= minEvidence);
  if (known.length === 0) return null;
  const mean = sumOf(known.length, (k) => losses[known[k]]) / known.length;
  return losses.map((loss, k) => (seen[k] >= minEvidence ? loss : mean));
}

/**
 * SHA-256 over a line per case in digest order, `id \t loss \t seen \n`, the loss as the 16 hex
 * digits of its bits: the header's `evidenceDigest`.
 */
export function evidenceDigest(ids: string[], { losses, seen }: CaseEvidence): string {
  const encoder = new TextEncoder();
  const whole = sha256.create();
  ids.forEach((id, k) => {
    whole.update(encoder.encode(`${id}\t${floatHex(losses[k])}\t${seen[k]}\n`));
  });
  return `sha256:${bytesToHex(whole.digest())}`;
}
