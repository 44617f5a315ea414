// The service as a process of its own, on embedded or real Postgres, with a dataset of synthetic
// cases; what each step takes, and the memory of the process so far.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '../../trainer/client.ts';
import { startService } from '../../trainer/demo/service.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { attributes, folds, rules, uploadParts } from './synthetic.ts';

/** What was done, seconds, of them CPU of the service, and its peak memory so far in MB. */
export type Step = { what: string; seconds: number; cpuSeconds: number; peakMb: number };

export type MeasuredService = {
  url: string;
  token: string;
  client: Client;
  dataDir: string;
  cluster: TestPostgres | null;
  steps: Step[];
  timed: <Value>(what: string, act: () => Promise<Value>) => Promise<Value>;
  stop: () => Promise<void>;
};

export const datasetPath = '/v1/datasets/scale';
/** The heap that a million cases need; without a limit Node lets garbage grow instead. */
export const heapMb = 400;

/** Starts it. Memory and CPU are read from /proc; elsewhere they are NaN. */
export async function startMeasured({
  postgres,
  targets = () => [],
  environment,
}: {
  postgres: boolean;
  /** Launch targets, by the folder of the service's data. */
  targets?: (dataDir: string) => unknown[];
  environment?: Record<string, string>;
}): Promise<MeasuredService> {
  const work = mkdtempSync(join(tmpdir(), 'counterweight-bench-'));
  const cluster = postgres ? await startPostgres({ durable: true }) : null;
  const service = await startService({
    dataDir: work,
    port: 0,
    targets: targets(work),
    say: console.error,
    database: cluster?.urls,
    environment,
    nodeOptions: `--max-old-space-size=${heapMb}`,
  });
  const client = createClient({
    api: service.url,
    token: service.token,
    fetch,
    sleep: (ms) => sleep(ms),
  });
  const steps: Step[] = [];
  const timed = async <Value>(what: string, act: () => Promise<Value>): Promise<Value> => {
    const startedAt = performance.now();
    const before = cpuSeconds(service.pid);
    const value = await act();
    const step = {
      what,
      seconds: (performance.now() - startedAt) / 1000,
      cpuSeconds: cpuSeconds(service.pid) - before,
      peakMb: peakMb(service.pid),
    };
    steps.push(step);
    console.error(`${what}: ${step.seconds.toFixed(1)} s, peak ${step.peakMb.toFixed(0)} MB`);
    return value;
  };
  const stop = async () => {
    await service.stop();
    await cluster?.stop();
    rmSync(work, { recursive: true, force: true });
  };
  const { url, token } = service;
  return { url, token, client, dataDir: work, cluster, steps, timed, stop };
}

function statusOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function peakMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(statusOf(pid, 'status'))?.[1]) / 1024;
}

function cpuSeconds(pid: number): number {
  const fields = statusOf(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Uploads the cases, two parts in flight, then split, commit and rule set `r@1`. */
export async function importCases(
  { client, timed }: MeasuredService,
  caseCount: number,
): Promise<void> {
  const version = `${datasetPath}/versions/1`;
  await client.call('POST', '/v1/datasets', { name: 'scale', attributes });
  await client.call('POST', `${datasetPath}/versions`, { reason: 'bench' });
  const parts = uploadParts(caseCount);
  await timed('upload', async () => {
    const send = async (first: number) => {
      for (let k = first; k < parts.length; k += 2) {
        const headers = { 'upload-part': String(k + 1), 'content-encoding': 'gzip' };
        await client.send('POST', `${version}/cases`, { body: parts[k], headers });
      }
    };
    await Promise.all([send(0), send(1)]);
  });
  const sides = folds(caseCount);
  await timed('split', () => client.call('PUT', `${version}/splits/five-fold`, sides));
  await timed('commit', () => client.call('POST', `${version}/commit`, { reason: 'bench' }));
  await client.call('POST', `${datasetPath}/rule-sets`, { name: 'r', rules, reason: 'bench' });
}

/** Freezes a fold of the imported cases under the name of the step; answers the digest. */
export async function freezeFold(
  { client, timed }: MeasuredService,
  fold: number | 'all',
): Promise<string> {
  const body = { version: 1, split: 'five-fold', fold, ruleSet: 'r@1', reason: 'bench' };
  const freeze = () => client.call<{ digest: string }>('POST', `${datasetPath}/snapshots`, body);
  return (await timed(`freeze fold ${fold}`, freeze)).digest;
}
