// The plan of an epoch of N draws over N cases against the samplers of numpy and torch, which run
// in a Python process of their own, in turns with ours.

import { fileURLToPath } from 'node:url';
import { drawPlan } from '../../api/weights/draws.ts';
import { probabilityUnits } from '../../api/weights/units.ts';
import { startPeer } from './peer.ts';
import { type BenchRow, benchRow } from './report.ts';

const sizes = [10_000, 100_000, 1_000_000];
const batch = 2;
const turns = 11;

/** What we promise: half the time of the sampler that PyTorch users have. */
const targets: Record<string, number> = { 'torch WeightedRandomSampler': 0.5 };

const peerNames = [
  'numpy choice per batch',
  'numpy choice at once',
  'numpy kept cumulative sum',
  'torch WeightedRandomSampler',
  'torch multinomial',
];

type Versions = Record<string, string | null>;
type Seconds = Record<string, number>;

/** Rows for N = 1e4, 1e5 and 1e6; python3 or CW_BENCH_PYTHON runs the peers. */
export async function planRows(): Promise<{ rows: BenchRow[]; versions: Versions }> {
  const python = process.env.CW_BENCH_PYTHON ?? 'python3';
  let versions: Versions = {};
  const rows: BenchRow[] = [];
  for (const n of sizes) {
    const peers = await startPeers(python, n);
    const plan = planOf(n);
    plan(0);
    const own: number[] = [];
    const theirs: Seconds[] = [];
    for (let turn = 1; turn <= turns; turn++) {
      own.push(secondsOf(() => plan(turn)));
      theirs.push(await peers.turn());
    }
    peers.end();
    versions = peers.versions;
    rows.push(...peerNames.map((name) => rowOf(n, name, own, theirs)));
  }
  return { rows, versions };
}

function rowOf(n: number, peer: string, own: number[], theirs: Seconds[]): BenchRow {
  const times = theirs.flatMap((seconds) => seconds[peer] ?? []);
  const missing = times.length === 0;
  const [library] = peer.split(' ');
  return benchRow({
    name: `plan of ${n} draws of ${n} cases`,
    value: 1000 * median(own),
    unit: 'ms',
    peer: missing ? `${peer} (missing: pip install ${library})` : nameOf(peer, n),
    peerValue: missing ? null : 1000 * median(times),
    target: n === 1_000_000 ? (targets[peer] ?? null) : null,
  });
}

// The whole epoch in batches of two would take an hour at a million cases.
const batchesOf = (n: number) => Math.max(5, Math.round(2_000_000 / n));
const nameOf = (peer: string, n: number) =>
  peer.endsWith('per batch') ? `${peer} (${batchesOf(n)} of ${n / batch} batches, scaled)` : peer;

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** How the rows were measured, for whoever reads them. */
export const planNote = `plans: medians of ${turns} turns, in each of which ours and every peer draw once, after a draw that is not counted`;

function secondsOf(act: () => unknown): number {
  const startedAt = performance.now();
  act();
  return (performance.now() - startedAt) / 1000;
}

/** Plans an epoch of n draws over n cases. */
function planOf(n: number): (epoch: number) => Uint32Array {
  const raw = Float64Array.from({ length: n }, (_, k) => 0.2 + ((k * 7919) % 1000) / 210);
  const total = raw.reduce((sum, value) => sum + value, 0);
  const drawUnits = probabilityUnits(raw.map((value) => value / total));
  const digest = `sha256:${'0'.repeat(64)}`;
  return (epoch) => drawPlan({ digest, drawUnits, seed: 1, epoch, drawsPerEpoch: n });
}

type Peers = { versions: Versions; turn: () => Promise<Seconds>; end: () => void };

async function startPeers(python: string, n: number): Promise<Peers> {
  const script = fileURLToPath(new URL('samplers.py', import.meta.url));
  const { ask, end } = startPeer(python, [script]);
  const versions = await ask<Versions>({ n, batch, batches: batchesOf(n) });
  if (versions === null) {
    console.error(`${python} cannot be run: the rows of numpy and torch are missing`);
  }
  return {
    versions: versions ?? { python: null, numpy: null, torch: null },
    turn: async () => (versions === null ? {} : ((await ask<Seconds>('turn')) ?? {})),
    end,
  };
}
