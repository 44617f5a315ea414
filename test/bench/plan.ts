// The plan of an epoch of N draws over N cases against the samplers of numpy and torch, which run
// in a Python process of their own, in turns with ours.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { drawPlan } from '../../api/weights/draws.ts';
import { probabilityUnits } from '../../api/weights/units.ts';
import { type BenchRow, benchRow } from './report.ts';

const sizes = [10_000, 100_000, 1_000_000];
const batch = 2;
const rounds = 3;

/** What we promise: half the time of the sampler that PyTorch users have. */
const targets: Record<string, number> = { 'torch WeightedRandomSampler': 0.5 };

type Peers = { seconds: Record<string, number>; versions: Record<string, unknown> };

const peerNames = [
  'numpy choice per batch',
  'numpy choice at once',
  'numpy kept cumulative sum',
  'torch WeightedRandomSampler',
  'torch multinomial',
];

/** Rows for N = 1e4, 1e5 and 1e6; python3 or CW_BENCH_PYTHON runs the peers. */
export function planRows(): { rows: BenchRow[]; versions: Record<string, unknown> } {
  const python = process.env.CW_BENCH_PYTHON ?? 'python3';
  let versions: Record<string, unknown> = {};
  const rows = sizes.flatMap((n) => {
    const own: number[] = [];
    const peers: Peers[] = [];
    for (let round = 0; round < rounds; round++) {
      own.push(planSeconds(n));
      peers.push(peerSeconds(python, n));
    }
    versions = peers[0].versions;
    return peerNames.map((name) => rowOf(n, name, own, peers));
  });
  return { rows, versions };
}

function rowOf(n: number, peer: string, own: number[], peers: Peers[]): BenchRow {
  const times = peers.map(({ seconds }) => seconds[peer]).filter((one) => one !== undefined);
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
export const planNote = `plans: medians of ${rounds} rounds in turns with the peers; in a round 5 epochs of ours, 3 of each peer, after one that is not counted`;

/** Seconds of a plan after a warm-up; the median of five epochs. */
function planSeconds(n: number): number {
  const raw = Float64Array.from({ length: n }, (_, k) => 0.2 + ((k * 7919) % 1000) / 210);
  const total = raw.reduce((sum, value) => sum + value, 0);
  const drawUnits = probabilityUnits(raw.map((value) => value / total));
  const digest = `sha256:${'0'.repeat(64)}`;
  const plan = (epoch: number) => drawPlan({ digest, drawUnits, seed: 1, epoch, drawsPerEpoch: n });
  plan(0);
  return median(
    Array.from({ length: 5 }, (_, k) => {
      const startedAt = performance.now();
      plan(k + 1);
      return (performance.now() - startedAt) / 1000;
    }),
  );
}

function peerSeconds(python: string, n: number): Peers {
  const script = fileURLToPath(new URL('samplers.py', import.meta.url));
  const asked = { n, runs: 3, batch, batches: batchesOf(n) };
  try {
    const answer = execFileSync(python, [script], {
      input: `${JSON.stringify(asked)}\n`,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return JSON.parse(answer.toString('utf8')) as Peers;
  } catch {
    console.error(`${python} cannot be run: the rows of numpy and torch are missing`);
    return { seconds: {}, versions: { python: null, numpy: null, torch: null } };
  }
}
