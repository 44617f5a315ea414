// npm run bench -- scale [CASES] [--postgres]: push, commit, what-if, freeze and stream many
// synthetic cases, on PGlite or a real Postgres. Prints seconds per step, their share of the whole,
// and the service's peak memory after each.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { createClient } from '../../trainer/client.ts';
import { table } from '../../trainer/commands/io.ts';
import { startService } from '../../trainer/demo/service.ts';
import { startPostgres } from '../support/postgres.ts';

const number = { type: 'number', origin: 'measured' };
const attributes = {
  site: { type: 'string', origin: 'entered' },
  quality: number,
  lesionMl: number,
  spacingZ: number,
  noise: number,
  sharpness: number,
  age: number,
  dice: { type: 'number', required: false, origin: { model: 'baseline', evidence: 'outOfFold' } },
  contrast: { type: 'boolean', origin: 'entered' },
  labels: { type: 'labels', origin: 'measured' },
};

const terms = [
  { name: 'rare', kind: 'rarity', by: ['labels', 'site'], method: 'inverse-frequency', power: 0.5 },
  {
    name: 'quality',
    kind: 'quality',
    attribute: 'quality',
    from: 0.2,
    to: 0.8,
    factorAtFrom: 0.5,
    factorAtTo: 1,
  },
  { name: 'small', kind: 'formula', expression: 'case.lesionMl < 1.0 ? 3.0 : 1.0' },
  { name: 'hard', kind: 'difficulty', attribute: 'dice', measure: 'dice', power: 0.5 },
];

function line(k: number): string {
  const part = (salt: number) => Math.abs(Math.sin(k * 12.9898 + salt)) % 1;
  const values = {
    site: `site${k % 7}`,
    quality: part(1),
    lesionMl: 10 * part(2),
    spacingZ: 1 + (k % 5),
    noise: part(3),
    sharpness: part(4),
    age: 20 + (k % 70),
    dice: part(5),
    contrast: k % 2 === 0,
    labels: k % 31 === 0 ? ['organ', 'lesion'] : ['organ'],
  };
  const files = [{ path: `imagesTr/case_${k}_0000.nii.gz`, sha256: 'a'.repeat(64) }];
  return `${JSON.stringify({ id: `case_${String(k).padStart(7, '0')}`, attributes: values, files })}\n`;
}

/** What was done, seconds, of them CPU of the service, and its peak memory so far in MB. */
type Row = [string, number, number, number];

/** Seconds of CPU that a process has used, where the system tells. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Peak resident memory of a process in MB, where the system tells. */
function peakMemoryMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

function folds(caseCount: number): { train: string[]; val: string[] }[] {
  const ids = Array.from({ length: caseCount }, (_, k) => `case_${String(k).padStart(7, '0')}`);
  return [0, 1].map((fold) => ({
    train: ids.filter((_, k) => k % 5 !== fold),
    val: ids.filter((_, k) => k % 5 === fold),
  }));
}

export async function scale(caseCount = 100_000, { postgres = false } = {}): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'counterweight-scale-'));
  const cluster = postgres ? await startPostgres({ durable: true }) : null;
  const service = await startService({
    dataDir: work,
    port: 0,
    targets: [],
    say: console.error,
    database: cluster?.urls,
  });
  const client = createClient({
    api: service.url,
    token: service.token,
    fetch,
    sleep: (ms) => sleep(ms),
  });
  const rows: Row[] = [];
  const timed = async <Value>(what: string, act: () => Promise<Value>): Promise<Value> => {
    const startedAt = performance.now();
    const cpuBefore = cpuSeconds(service.pid);
    const value = await act();
    const seconds = (performance.now() - startedAt) / 1000;
    const row: Row = [
      what,
      seconds,
      cpuSeconds(service.pid) - cpuBefore,
      peakMemoryMb(service.pid),
    ];
    rows.push(row);
    console.error(cells(row).join('  '));
    return value;
  };
  const path = '/v1/datasets/scale';
  await client.call('POST', '/v1/datasets', { name: 'scale', attributes });
  await client.call('POST', `${path}/versions`, { reason: 'bench' });
  await timed('upload', async () => {
    for (let from = 0, part = 1; from < caseCount; from += 20_000, part++) {
      const count = Math.min(20_000, caseCount - from);
      const body = gzipSync(Array.from({ length: count }, (_, k) => line(from + k)).join(''));
      const headers = { 'upload-part': String(part), 'content-encoding': 'gzip' };
      await client.send('POST', `${path}/versions/1/cases`, { body, headers });
    }
  });
  await timed('split', () =>
    client.call('PUT', `${path}/versions/1/splits/five-fold`, folds(caseCount)),
  );
  await timed('commit', () =>
    client.call('POST', `${path}/versions/1/commit`, { reason: 'bench' }),
  );
  const rules = { groups: ['site', 'labels'], sampling: { terms } };
  await client.call('POST', `${path}/rule-sets`, { name: 'r', rules, reason: 'bench' });
  const fold = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'r@1' };
  await timed('what-if', () => client.call('POST', `${path}/what-if`, fold));
  const { digest } = await timed('freeze', () =>
    client.call<{ digest: string }>('POST', `${path}/snapshots`, { ...fold, reason: 'bench' }),
  );
  await timed('stream', async () => {
    const headers = { accept: 'application/x-ndjson' };
    const response = await client.send('GET', `/v1/snapshots/${digest}/cases`, { headers });
    for await (const _ of response.body as unknown as AsyncIterable<Uint8Array>);
  });
  await timed('explain', () => client.call('GET', `/v1/snapshots/${digest}/cases/case_0000001`));
  await service.stop();
  await cluster?.stop();
  rmSync(work, { recursive: true, force: true });
  report(rows, caseCount);
}

function report(rows: Row[], caseCount: number): void {
  const total = rows.reduce((sum, [, seconds]) => sum + seconds, 0);
  const heading = [`${caseCount} cases`, 'seconds', 'service CPU', 'peak MB'];
  console.log(table([heading, ...rows.map(cells), ['total', total.toFixed(1), '', '']]));
}

function cells([what, seconds, cpu, memory]: Row): string[] {
  return [what, seconds.toFixed(1), cpu.toFixed(1), memory.toFixed(0)];
}
