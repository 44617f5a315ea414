// The real service, a real agent beside a real trainer: the agent is killed, the service is killed,
// and the job is launched once, loses nothing and succeeds.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Client, createClient } from '../../trainer/client.ts';
import { systemIo } from '../../trainer/commands/io.ts';
import { pushFolder } from '../../trainer/commands/push.ts';
import { hasEnded, type Job } from '../../trainer/commands/watch.ts';
import { type DemoService, startService } from '../../trainer/demo/service.ts';
import { writePhantomDataset } from '../../trainer/phantom.ts';

const epochs = 50;
const seconds = 1_000;
let work: string;
let service: DemoService;
let client: Client;
let agent: { child: ChildProcess; events: { event: string; launchKey?: string }[] };
let agentToken: string;

async function start(port: number): Promise<void> {
  const targets = [{ name: 'cluster', engine: 'agent' }];
  service = await startService({ dataDir: join(work, 'service'), port, targets, say: () => {} });
  const { url: api, token } = service;
  client = createClient({ api, token, fetch, sleep: (ms) => systemIo.sleep(ms) });
}

function startAgent(): typeof agent {
  const engine = { name: 'cluster', engine: 'local', dataPaths: { Phantom: join(work, 'images') } };
  const args = ['--import', 'tsx', 'trainer/cli.ts', 'agent', '--target', 'cluster'];
  const child = spawn(process.execPath, [...args, '--name', 'one', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      CW_API: service.url,
      CW_TOKEN: agentToken,
      CW_DATA_DIR: join(work, 'agent'),
      CW_TARGETS: JSON.stringify([{ ...engine, outputPath: join(work, 'out') }]),
    },
  });
  const events: { event: string }[] = [];
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  lines.on('line', (line) => events.push(JSON.parse(line)));
  return { child, events };
}

async function ended(
  { child }: typeof agent,
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill(signal);
  return await exit;
}

async function until(id: string, met: (job: Job) => boolean): Promise<Job> {
  const read = () => client.call<Job>('GET', `/v1/jobs/${id}`);
  return await vi.waitFor(
    async () => {
      const job = await read();
      if (!met(job)) throw new Error(`job ${id} stays ${JSON.stringify(job)}`);
      return job;
    },
    { timeout: 200 * seconds, interval: 100 },
  );
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-agent-'));
  const images = join(work, 'images');
  await writePhantomDataset(images, { cases: 20, shape: [8, 16, 16], lesionEvery: 4 });
  await start(0);
  const quiet = { ...systemIo, say: () => {}, terminal: false };
  await pushFolder(quiet, client, images, { reason: 'test', split: 'five-fold' });
  const token = { name: 'agent', actor: 'cluster', role: 'agent' };
  agentToken = (await client.call<{ secret: string }>('POST', '/v1/tokens', token)).secret;
}, 120 * seconds);

afterAll(async () => {
  if (agent !== undefined) await ended(agent, 'SIGKILL');
  await service?.stop();
  rmSync(work, { recursive: true, force: true });
});

async function launch(): Promise<Job> {
  const path = '/v1/datasets/Phantom';
  await client.call('POST', `${path}/rule-sets`, { name: 'even', rules: {}, reason: 'test' });
  const body = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'even@1', reason: 'test' };
  const { digest } = await client.call<{ digest: string }>('POST', `${path}/snapshots`, body);
  const patch = [8, 16, 16];
  const settings = { epochs, drawsPerEpoch: 8, batchSize: 2, validateEvery: epochs, patch };
  const job = { snapshot: digest, target: 'cluster', seed: 3, settings, reason: 'test' };
  return await client.call<Job>('POST', '/v1/jobs', job);
}

const stepOf = (job: Job) => job.progress?.step ?? 0;

test(
  'a job outlives its agent and the service, and is launched once',
  async () => {
    const { id, state } = await launch();
    expect(state).toBe('created');
    agent = startAgent();
    await until(id, (job) => stepOf(job) >= 2);
    await ended(agent, 'SIGKILL');
    const { progress } = await client.call<Job>('GET', `/v1/jobs/${id}`);
    await until(id, (job) => stepOf(job) > (progress?.step ?? 0));
    agent = startAgent();
    await vi.waitFor(() => expect(agent.events).not.toEqual([]), { timeout: 60 * seconds });
    const port = Number(new URL(service.url).port);
    await service.stop('SIGKILL');
    await vi.waitFor(
      () => expect(agent.events.at(-1)?.event).toBe('waiting for the service; jobs run on'),
      { timeout: 60 * seconds },
    );
    await start(port);
    const job = await until(id, hasEnded);
    expect(job).toMatchObject({
      state: 'succeeded',
      verifiedDraws: { verified: epochs, partial: 0, mismatch: 0 },
      attempts: [{ agent: 'one', state: 'succeeded' }],
    });
    const metrics = `/v1/jobs/${id}/metrics?name=loss&limit=10000`;
    const { items } = await client.call<{ items: { step: number }[] }>('GET', metrics);
    expect(items.map(({ step }) => step)).toEqual(
      Array.from({ length: epochs * 4 }, (_, k) => k + 1),
    );
    expect(readdirSync(join(work, 'agent/launches'))).toEqual([`cw-${id}-1`]);
    expect(await ended(agent, 'SIGTERM')).toBe(0);
    const output = readFileSync(join(work, 'agent/launches', `cw-${id}-1`, 'output.log'), 'utf8');
    expect(output).not.toContain(agentToken);
  },
  400 * seconds,
);
