// Milliseconds of a training step on wasm and native beside PyTorch's, in turns in one run.

import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Peer, startPeer } from './peer.ts';
import { type BenchRow, benchRow, printRows, writeRows } from './report.ts';

const sizes = [
  [8, 16, 32],
  [16, 32, 64],
];
const batch = 2;
const patch = [32, 48, 32];
const stepsPerTurn = 8;

/** What we promise, as multiples of PyTorch's faster memory layout. */
const targets = { native: 1, wasm: 4 };

type Setup = { parameters: number; version: string };
type Started = { name: string; peer: Peer; setup: Setup | null; times: number[] };

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** `npm run bench -- trainer [--turns N] [--json FILE]` */
export async function trainerSteps(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { turns: { type: 'string', default: '5' }, json: { type: 'string' } },
  });
  const rows: BenchRow[] = [];
  const versions: Record<string, string | null> = {};
  for (const features of sizes) {
    const all = await startAll(features);
    for (let turn = 1; turn <= Number(values.turns); turn++) {
      console.error(`${features.join('/')} channels: turn ${turn} of ${values.turns}`);
      for (const one of all) await takeTurn(one);
    }
    for (const { name, setup } of all) versions[name] = setup?.version ?? null;
    rows.push(...rowsOf(features, all));
    for (const { peer } of all) peer.end();
  }
  printRows(rows);
  console.log(
    `medians of ${Number(values.turns) * stepsPerTurn} steps, in turns; batch ${batch} of ${patch.join(' x ')}, Adam; native and PyTorch with ${cpus().length} threads, wasm with a case on each of ${Math.min(batch, cpus().length)} cores`,
  );
  if (values.json) writeRows(values.json, rows, { versions });
}

async function startAll(features: number[]): Promise<Started[]> {
  const python = process.env.CW_BENCH_PYTHON ?? 'python3';
  const own = (backend: string) =>
    startPeer(process.execPath, ['--import', 'tsx', pathOf('step-process.ts'), backend]);
  const peers: [string, Peer, Record<string, unknown>][] = [
    ['native', own('native'), {}],
    ['wasm', own('wasm'), {}],
  ];
  for (const layout of ['contiguous', 'channels_last']) {
    const more = { layout, threads: cpus().length };
    peers.push([`torch ${layout}`, startPeer(python, [pathOf('unet.py')]), more]);
  }
  const started: Started[] = [];
  // One after the other: each warms up alone.
  for (const [name, peer, more] of peers) {
    const setup = await peer.ask<Setup>({ features, batch, patch, ...more });
    if (setup === null) console.error(`${name} cannot be measured here`);
    started.push({ name, peer, setup, times: [] });
  }
  return started;
}

async function takeTurn({ peer, setup, times }: Started): Promise<void> {
  if (setup === null) return;
  const answer = await peer.ask<{ milliseconds: number[] }>(stepsPerTurn);
  times.push(...(answer?.milliseconds ?? []));
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1];

function rowsOf(features: number[], all: Started[]): BenchRow[] {
  const torch = all.filter(({ name, times }) => name.startsWith('torch') && times.length > 0);
  const [fastest] = torch.toSorted((a, b) => median(a.times) - median(b.times));
  const parameters = all.find(({ setup }) => setup !== null)?.setup?.parameters;
  const label = `${features.join('/')} channels, ${parameters} parameters`;
  return (['native', 'wasm'] as const).flatMap((name): BenchRow[] => {
    const own = all.find((one) => one.name === name) as Started;
    if (own.times.length === 0) return [];
    const row = { name: `${name} step, ${label}`, value: median(own.times), unit: 'ms' };
    if (fastest === undefined)
      return [benchRow({ ...row, peer: 'torch (missing: pip install torch)' })];
    return torch.map((peer) =>
      benchRow({
        ...row,
        peer: `${peer.name} step`,
        peerValue: median(peer.times),
        ...(peer === fastest ? { target: targets[name] } : {}),
      }),
    );
  });
}
