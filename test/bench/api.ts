// npm run bench -- api [--seconds N] [--json FILE]: reports ingested per second and the time of a
// request, by clients and batch, beside MLflow's tracking server; and a long series read back.

import { type Load, type LoadOptions, load, percentiles, type Sent, timeEach } from './load.ts';
import {
  history,
  logBatch,
  type MlflowServer,
  type MlflowStore,
  mlflowVersion,
  startMlflow,
} from './mlflow.ts';
import { type BenchRow, benchRow, flag, printRows, writeRows } from './report.ts';
import { type ReportingService, startReportingJobs } from './reporting-jobs.ts';

const clientCounts = [1, 8];
const batches = [1, 100, 1_000];
const seriesPoints = 10_000;
const seriesReads = 20;
/** Series in a batch, as a trainer that reports classes and groups has them. */
const seriesInBatch = 10;

type Point = { name: string; value: number; step: number };
type Measured = { clients: number; batch: number; load: Load };
type Results = { loads: Measured[]; series: { p50Ms: number; p95Ms: number } };

// A batch goes on where the last one of its client ended.
function pointsOf(batch: number, number: number): Point[] {
  return Array.from({ length: batch }, (_, k) => {
    const step = Math.floor((number * batch + k) / seriesInBatch);
    return { name: `metric${k % seriesInBatch}`, value: 1 / (1 + step + k), step };
  });
}

const seriesOf = (name: string, batch: number): Point[] =>
  Array.from({ length: 1_000 }, (_, k) => ({ name, value: Math.sin(k), step: batch * 1_000 + k }));

async function measureLoads(
  label: string,
  seconds: number,
  optionsOf: (clients: number, batch: number) => Pick<LoadOptions, 'next' | 'newConnections'>,
  counts = clientCounts,
): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const clients of counts) {
    for (const batch of batches) {
      const result = await load({ clients, seconds, ...optionsOf(clients, batch) });
      measured.push({ clients, batch, load: result });
      const rate = Math.round(result.perSecond * batch);
      const { p50Ms, p95Ms } = result;
      console.error(
        `${label}: ${clients} client(s), batches of ${batch}: ${rate} metrics/s, p50 ${p50Ms.toFixed(1)} ms, p95 ${p95Ms.toFixed(1)} ms`,
      );
    }
  }
  return measured;
}

async function measureOurs(seconds: number): Promise<Results> {
  const service = await startReportingJobs(Math.max(...clientCounts) + 1);
  try {
    const sequences = service.jobs.map(() => 0);
    const report = (client: number, metrics: Point[]): Sent => {
      const sequence = sequences[client]++;
      return {
        url: `${service.url}/v1/trainer/reports`,
        method: 'POST',
        headers: {
          authorization: `Bearer ${service.jobs[client].token}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ sequence, metrics }),
      };
    };
    const loads = await measureLoads('ours', seconds, (_, batch) => ({
      next: (client) => report(client, pointsOf(batch, sequences[client])),
    }));
    return { loads, series: await readOurs(service, report) };
  } finally {
    await service.stop();
  }
}

async function readOurs(
  { jobs, url, token }: ReportingService,
  report: (client: number, points: Point[]) => Sent,
) {
  const last = jobs.length - 1;
  for (let k = 0; k < seriesPoints / 1_000; k++)
    await timeEach(report(last, seriesOf('long', k)), 1);
  const read = {
    url: `${url}/v1/jobs/${jobs[last].id}/metrics?name=long&limit=${seriesPoints}`,
    method: 'GET',
    headers: { authorization: `Bearer ${token}` },
  };
  return percentiles(await timeEach(read, seriesReads));
}

async function measureMlflow(
  python: string,
  store: MlflowStore,
  seconds: number,
): Promise<Results> {
  const results: Results[] = [];
  for (const clients of clientCounts) {
    // One worker serves one client best; with several, sockets that are kept stall 48 ms a request.
    const several = clients > 1;
    const workers = several ? 4 : 1;
    const server = await startMlflow({ python, store, workers, runs: clients + 1 });
    try {
      const sent = Array.from({ length: clients }, () => 0);
      const options = (_: number, batch: number) => ({
        newConnections: several,
        next: (client: number) => logBatch(server, client, pointsOf(batch, sent[client]++)),
      });
      const loads = await measureLoads(`MLflow on ${store}`, seconds, options, [clients]);
      results.push({ loads, series: await readMlflow(server, clients) });
    } finally {
      await server.stop();
    }
  }
  return { loads: results.flatMap(({ loads }) => loads), series: results[0].series };
}

async function readMlflow(server: MlflowServer, client: number) {
  for (let k = 0; k < seriesPoints / 1_000; k++) {
    await timeEach(logBatch(server, client, seriesOf('long', k)), 1);
  }
  const read = history(server, server.runs[client], 'long', seriesPoints);
  return percentiles(await timeEach(read, seriesReads));
}

/** Of two peers the better one at each load. */
function rowsOf(ours: Results, peers: { name: string; results: Results }[]): BenchRow[] {
  const rows = ours.loads.flatMap(({ clients, batch, load: own }) => {
    const of = peers.map(({ name, results }) => ({
      name,
      load: results.loads.find((one) => one.clients === clients && one.batch === batch)
        ?.load as Load,
    }));
    const fastest = of.toSorted((a, b) => b.load.perSecond - a.load.perSecond).at(0);
    const quickest = of.toSorted((a, b) => a.load.p95Ms - b.load.p95Ms).at(0);
    const name = `${clients} client${clients > 1 ? 's' : ''}, batches of ${batch}`;
    const promised = batch === 1_000;
    return [
      benchRow({
        name: `${name}: a metric`,
        value: 1e6 / (own.perSecond * batch),
        unit: 'µs',
        peer: fastest?.name,
        peerValue: fastest === undefined ? null : 1e6 / (fastest.load.perSecond * batch),
        target: promised ? 0.1 : null,
      }),
      benchRow({
        name: `${name}: p50`,
        value: own.p50Ms,
        unit: 'ms',
        peer: quickest?.name,
        peerValue: quickest?.load.p50Ms ?? null,
      }),
      benchRow({
        name: `${name}: p95`,
        value: own.p95Ms,
        unit: 'ms',
        peer: quickest?.name,
        peerValue: quickest?.load.p95Ms ?? null,
        target: promised ? 0.2 : null,
      }),
    ];
  });
  const best = peers.toSorted((a, b) => a.results.series.p50Ms - b.results.series.p50Ms).at(0);
  const series = benchRow({
    name: `a series of ${seriesPoints} points: p50`,
    value: ours.series.p50Ms,
    unit: 'ms',
    peer: best?.name,
    peerValue: best?.results.series.p50Ms ?? null,
    target: 0.1,
  });
  return [...rows, series];
}

export async function apiReports(args: string[]): Promise<void> {
  const seconds = Number(flag(args, '--seconds') ?? 10);
  const json = flag(args, '--json');
  const python = process.env.CW_BENCH_PYTHON ?? 'python3';
  const version = mlflowVersion(python);
  const ours = await measureOurs(seconds);
  const peers: { name: string; results: Results }[] = [];
  if (version === null) {
    console.error(
      `!! MLflow is not measured: ${python} has no mlflow and psycopg2-binary. pip install both into a Python and name it in CW_BENCH_PYTHON.`,
    );
  } else if (!args.includes('--ours')) {
    for (const store of ['postgres', 'sqlite'] as const) {
      const results = await measureMlflow(python, store, seconds);
      peers.push({ name: `MLflow ${version}, ${store}`, results });
    }
  }
  const rows = rowsOf(ours, peers);
  printRows(rows);
  if (json !== undefined) writeRows(json, rows, { mlflow: version });
}
