// The real chain: the service as a process on embedded Postgres, real trainers as its children,
// tiny images. Here things are killed, and nothing may be lost or believed too early.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from '../../trainer/client.ts';
import { systemIo } from '../../trainer/commands/io.ts';
import { pushFolder } from '../../trainer/commands/push.ts';
import { hasEnded, type Job } from '../../trainer/commands/watch.ts';
import { type DemoService, startService } from '../../trainer/demo/service.ts';
import { writePhantomDataset } from '../../trainer/phantom.ts';

const quiet = { ...systemIo, say: () => {}, terminal: false };
let work: string;
let service: DemoService;
let client: Client;
let snapshot: string;

async function start(port: number): Promise<void> {
  const targets = [
    {
      name: 'local',
      engine: 'local',
      dataPaths: { Phantom: join(work, 'images') },
      outputPath: join(work, 'out'),
    },
  ];
  service = await startService({ dataDir: join(work, 'service'), port, targets, say: () => {} });
  client = createClient({
    api: service.url,
    token: service.token,
    fetch,
    sleep: (ms) => sleep(ms),
  });
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-chain-'));
  await writePhantomDataset(join(work, 'images'), {
    cases: 20,
    shape: [8, 16, 16],
    lesionEvery: 4,
  });
  await start(0);
  await pushFolder(quiet, client, join(work, 'images'), { reason: 'test', split: 'five-fold' });
  const path = '/v1/datasets/Phantom';
  const terms = [
    { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
  ];
  const rules = { sampling: { terms } };
  await client.call('POST', `${path}/rule-sets`, { name: 'rare', rules, reason: 'test' });
  const body = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'rare@1', reason: 'test' };
  snapshot = (await client.call<{ digest: string }>('POST', `${path}/snapshots`, body)).digest;
}, 120_000);

afterAll(async () => {
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

async function launch(epochs: number): Promise<Job> {
  const settings = {
    epochs,
    drawsPerEpoch: 8,
    batchSize: 2,
    validateEvery: epochs,
    patch: [8, 16, 16],
  };
  const body = { snapshot, target: 'local', seed: 3, settings, reason: 'test' };
  return await client.call<Job>('POST', '/v1/jobs', body);
}

async function until(id: string, met: (job: Job) => boolean): Promise<Job> {
  for (const deadline = Date.now() + 100_000; ; ) {
    const job = await client.call<Job>('GET', `/v1/jobs/${id}`);
    if (met(job)) return job;
    if (Date.now() > deadline) throw new Error(`job ${id} stays ${JSON.stringify(job)}`);
    await sleep(100);
  }
}

const trains = (job: Job) => (job.progress?.step ?? 0) >= 2;
const trainerPid = (id: string) =>
  Number(readFileSync(join(work, 'service/launches', `cw-${id}-1`, 'trainer.pid'), 'utf8'));

describe('a job of the local launcher', () => {
  test('succeeds with every epoch verified', async () => {
    const { id } = await launch(2);
    const job = await until(id, hasEnded);
    expect(job).toMatchObject({
      state: 'succeeded',
      verifiedDraws: { verified: 2, partial: 0, mismatch: 0 },
    });
    const audit = await client.call<{ ok: boolean }>('GET', '/v1/audit/verify');
    expect(audit.ok).toBe(true);
  }, 120_000);

  test('is failed, with the signal in the reason, when its trainer is killed', async () => {
    const { id } = await launch(500);
    await until(id, trains);
    process.kill(trainerPid(id), 'SIGKILL');
    const job = await until(id, hasEnded);
    expect(job.state).toBe('failed');
    expect(job.reason).toEqual({
      code: 'external',
      detail: 'the trainer was ended by signal SIGKILL before its final report',
    });
  }, 120_000);

  test('ends cancelled, and its trainer with it, when it is cancelled', async () => {
    const { id } = await launch(500);
    await until(id, trains);
    const pid = trainerPid(id);
    await client.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'test' });
    expect((await until(id, hasEnded)).state).toBe('cancelled');
    expect(() => process.kill(pid, 0)).toThrow();
  }, 120_000);

  test('loses no report and succeeds when the service is killed and started again', async () => {
    const { id } = await launch(40);
    await until(id, trains);
    const port = Number(new URL(service.url).port);
    await service.stop('SIGKILL');
    await start(port);
    const job = await until(id, hasEnded);
    expect(job).toMatchObject({
      state: 'succeeded',
      verifiedDraws: { verified: 40, partial: 0, mismatch: 0 },
    });
    const metrics = `/v1/jobs/${id}/metrics?name=loss&limit=10000`;
    const { items } = await client.call<{ items: { step: number }[] }>('GET', metrics);
    const steps = items.map(({ step }) => step);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
    expect(steps).toHaveLength(40 * 4);
  }, 180_000);
});
