// The rows of `bench -- weights` that are about Postgres: upload, freeze and fetch of many cases
// against COPY in and out of the same rows, from and to files on the server, on one cluster.

import { mkdtempSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../api/store/database.ts';
import { downloadSnapshot } from '../../trainer/snapshot-download.ts';
import {
  freezeFold,
  importCases,
  type MeasuredService,
  startMeasured,
} from './measured-service.ts';
import { type BenchRow, benchRow } from './report.ts';

type Copied = { in: number; out: number };

/** Measures them once; COPY runs on the same server right after. */
export async function copyRows(caseCount: number): Promise<BenchRow[]> {
  const service = await startMeasured({ postgres: true });
  const folder = mkdtempSync(join(tmpdir(), 'counterweight-copy-'));
  await chmod(folder, 0o777);
  try {
    await importCases(service, caseCount);
    const digest = await freezeFold(service, 'all');
    const fetched = await fetchTwice(service, digest);
    const owner = service.cluster?.owner as Database;
    const cases = await copied(
      owner,
      folder,
      'cases',
      'create table copied (like cases including all)',
    );
    await owner.script(snapshotAsRows);
    const snapshot = await copied(
      owner,
      folder,
      'snapshot_rows',
      'create table copied (like snapshot_rows including all)',
    );
    return rowsOf(service, { caseCount, fetched, cases, snapshot });
  } finally {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fetchTwice({ client, timed }: MeasuredService, digest: string): Promise<number> {
  const seconds: number[] = [];
  for (let run = 0; run < 2; run++) {
    const startedAt = performance.now();
    await timed('verified fetch', () => downloadSnapshot(client, digest));
    seconds.push((performance.now() - startedAt) / 1000);
  }
  return Math.min(...seconds);
}

// The snapshot as anybody would keep it: a row a case.
const snapshotAsRows = `create table snapshot_rows (
    case_id text collate "C" primary key, target_units bigint not null, draw_units bigint not null,
    loss_factor double precision not null, score double precision not null);
  insert into snapshot_rows
  select row.* from snapshot_chunks k, lateral unnest(string_to_array(k.ids, E'\\n'), k.target_units,
    k.draw_units, k.loss_factors, k.scores) row`;

/** Seconds of COPY out of a table, and of COPY in to a new one with the same indexes. */
async function copied(
  owner: Database,
  folder: string,
  from: string,
  create: string,
): Promise<Copied> {
  const file = join(folder, `${from}.tsv`);
  const timed = async (text: string) => {
    const startedAt = performance.now();
    await owner.script(text);
    return (performance.now() - startedAt) / 1000;
  };
  await owner.script(`checkpoint; ${create}`);
  const out = await timed(`copy ${from} to '${file}'`);
  const into = await timed(`copy copied from '${file}'`);
  await owner.script('drop table copied');
  return { in: into, out };
}

function rowsOf(
  { steps }: MeasuredService,
  measured: { caseCount: number; fetched: number; cases: Copied; snapshot: Copied },
): BenchRow[] {
  const { caseCount, fetched, cases, snapshot } = measured;
  const secondsOf = (what: string) =>
    steps.find((step) => step.what === what)?.seconds ?? Number.NaN;
  const freeze = secondsOf('freeze fold all');
  const named = (what: string) => `${what}, ${caseCount} cases`;
  const unit = 's';
  const peak = Math.max(...steps.map(({ peakMb }) => peakMb));
  return [
    benchRow({
      name: named('upload, gzip NDJSON in parts'),
      value: secondsOf('upload'),
      unit,
      peer: 'COPY in',
      peerValue: cases.in,
      target: 3,
    }),
    benchRow({
      name: named('freeze'),
      value: freeze,
      unit,
      peer: 'COPY in',
      peerValue: snapshot.in,
    }),
    benchRow({
      name: named('verified fetch'),
      value: fetched,
      unit,
      peer: 'COPY out',
      peerValue: snapshot.out,
    }),
    benchRow({
      name: named('freeze and verified fetch'),
      value: freeze + fetched,
      unit,
      peer: 'COPY in and out',
      peerValue: snapshot.in + snapshot.out,
      target: 2,
    }),
    benchRow({
      name: named('verified fetch'),
      value: fetched,
      unit,
      peer: 'two seconds',
      peerValue: 2,
      target: 1,
    }),
    benchRow({
      name: named('peak memory of the service'),
      value: peak,
      unit: 'MB',
      peer: '600 MB',
      peerValue: 600,
      target: 1,
    }),
  ];
}
