// The draw ledger, epoch by epoch: verified when matching ranges cover every draw of the plan,
// partial when a prefix is covered, mismatch when any range differs (METHOD.md section 6).

import type { LedgerEpoch } from '../../contract/jobs.ts';

export type LedgerEntry = {
  epoch: number;
  snapshotDigest: string;
  fromDraw: number;
  draws: number;
  digest: string;
  matches: boolean;
};

/** One line per epoch, in order. Overlaps after a resume are legal and counted as `repeated`. */
export function ledgerEpochs(entries: LedgerEntry[], drawsPerEpoch: number): LedgerEpoch[] {
  const byEpoch = new Map<number, LedgerEntry[]>();
  for (const entry of entries)
    byEpoch.set(entry.epoch, [...(byEpoch.get(entry.epoch) ?? []), entry]);
  return [...byEpoch]
    .sort(([a], [b]) => a - b)
    .map(([epoch, ranges]) => {
      const { covered, total } = coverage(ranges.filter(({ matches }) => matches));
      const mismatch = ranges.some(({ matches }) => !matches);
      const state = mismatch ? 'mismatch' : covered === drawsPerEpoch ? 'verified' : 'partial';
      const snapshot = ranges[ranges.length - 1].snapshotDigest;
      const whole = ranges.find((one) => one.matches && one.draws === drawsPerEpoch);
      const digest = whole?.digest ?? null;
      return {
        epoch,
        snapshot,
        state,
        draws: covered,
        drawsPerEpoch,
        repeated: total - covered,
        digest,
      };
    });
}

function coverage(ranges: LedgerEntry[]): { covered: number; total: number } {
  let covered = 0;
  let reached = 0;
  let total = 0;
  for (const { fromDraw, draws } of [...ranges].sort((a, b) => a.fromDraw - b.fromDraw)) {
    total += draws;
    const end = fromDraw + draws;
    covered += Math.max(0, end - Math.max(fromDraw, reached));
    reached = Math.max(reached, end);
  }
  return { covered, total };
}
