// A pull agent in front of podman: the service reaches no engine, and the agent dies between its
// engine's answer and its report.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Lab, openLab } from './lab.ts';
import { type Meddler, startMeddler } from './meddler.ts';
import { openPodman, type PodmanApi } from './podman.ts';
import { until } from './waiting.ts';

const podman = openPodman(inject('podmanFolder'));
let work: string;
let engine: PodmanApi;
let meddler: Meddler;
let lab: Lab;
let secret: string;
let agent: ChildProcess | undefined;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-agent-'));
  engine = await podman.serve(join(work, 'podman.sock'));
  const socket = join(work, 'engine.sock');
  meddler = await startMeddler({ listen: socket, engine: { socketPath: engine.socket } });
  lab = await openLab(join(work, 'lab'), () => [
    { name: 'hidden', engine: 'agent', images: [inject('image').tagged] },
  ]);
  const token = { name: 'agent', actor: 'cluster', role: 'agent' };
  secret = (await lab.client.call<{ secret: string }>('POST', '/v1/tokens', token)).secret;
}, 300_000);

afterAll(async () => {
  agent?.kill('SIGKILL');
  await lab?.stop();
  meddler?.close();
  await engine?.stop();
  rmSync(work, { recursive: true, force: true });
});

function startAgent(): ChildProcess {
  const target = {
    name: 'hidden',
    engine: 'docker',
    address: `unix://${join(work, 'engine.sock')}`,
    images: [inject('image').tagged],
    dataPaths: { [lab.dataset]: lab.images },
    outputPath: lab.outputs,
    network: 'host',
  };
  const args = [
    '--import',
    'tsx',
    'trainer/cli.ts',
    'agent',
    '--target',
    'hidden',
    '--name',
    'one',
  ];
  return spawn(process.execPath, args, {
    stdio: 'ignore',
    env: {
      ...process.env,
      CW_API: lab.address,
      CW_TOKEN: secret,
      CW_DATA_DIR: join(work, 'agent'),
      CW_TARGETS: JSON.stringify([target]),
    },
  });
}

test('adopts what it launched before it was killed, and trains it once', async () => {
  const { id, state } = await lab.launch('hidden');
  expect(state).toBe('created');
  let died = false;
  meddler.rules.push({
    on: /^POST \/containers\/[^/]+\/start/,
    after: async () => {
      died = true;
      meddler.rules.length = 0;
      agent?.kill('SIGKILL');
      return null;
    },
  });
  agent = startAgent();
  await until(() => died, { seconds: 60, late: () => 'the agent launches' });
  agent = startAgent();
  const job = await lab.ended(id);
  expect(job, await lab.story(job)).toMatchObject({
    state: 'succeeded',
    verifiedDraws: { verified: 2, partial: 0, mismatch: 0 },
  });
  expect(job.attempts).toHaveLength(1);
  const isClearedUp = async () =>
    !(await podman.run('ps', '--all', '--format', '{{.Names}}')).includes(id);
  await until(isClearedUp, { seconds: 60, late: () => 'the container is removed' });
}, 300_000);

test('cancels what runs behind it', async () => {
  const { id } = await lab.launch('hidden', { settings: { epochs: 500, validateEvery: 500 } });
  await lab.until(id, ({ progress }) => (progress?.step ?? 0) >= 1);
  await lab.client.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'engine test' });
  expect((await lab.ended(id, 120)).state).toBe('cancelled');
}, 300_000);
