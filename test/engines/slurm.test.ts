// The Slurm launcher on a real Slurm of one node: batch scripts that run the trainer's image by
// podman, and what only Slurm can do to a job.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { engineCases } from './cases.ts';
import { type Lab, openLab, type Places } from './lab.ts';
import { type Meddler, startMeddler } from './meddler.ts';
import { openPodman } from './podman.ts';
import { type Rig, targetsOf } from './rig.ts';
import { type SlurmCluster, startSlurmCluster } from './slurm-cluster.ts';
import { slurmTarget } from './slurm-target.ts';

const podman = openPodman(inject('podmanFolder'));
let work: string;
let cluster: SlurmCluster;
let meddler: Meddler;
let lab: Lab;
let rig: Rig;
const fileOf = (name: string) => join(work, name);
const writeToken = (name: string, seconds: number) =>
  writeFileSync(fileOf(name), cluster.token(seconds), { mode: 0o600 });

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-slurm-'));
  chmodSync(work, 0o711); // slurmrestd is nobody
  const ports = { controller: await freePort(), node: await freePort(), rest: await freePort() };
  cluster = await startSlurmCluster({ root: '/', folder: fileOf('slurm'), ports, killWait: 30 });
  const port = await freePort();
  meddler = await startMeddler({ listen: port, engine: { host: '127.0.0.1', port: ports.rest } });
  writeToken('token', 2 * 86_400); // a check warns of a day
  writeToken('expired', -60);
  lab = await openLab(fileOf('lab'), (places) => targets(`http://127.0.0.1:${port}`, places));
  rig = rigOf();
}, 300_000);

afterAll(async () => {
  await lab?.stop();
  meddler?.close();
  await cluster?.stop();
  rmSync(work, { recursive: true, force: true });
});

function targets(address: string, places: Places): object[] {
  const base = {
    ...slurmTarget(podman, places),
    address,
    credentials: { file: fileOf('token') },
  };
  return [
    ...targetsOf('slurm', base, { partition: 'nowhere' }),
    { ...base, name: 'slurm-expired', credentials: { file: fileOf('expired') } },
  ];
}

type SlurmRecord = { name: string; job_state: string; node_count: object };

function rigOf(): Rig {
  const records = () =>
    cluster
      .scontrol('--oneliner', 'show', 'jobs')
      .split('\n')
      .map((line) => Object.fromEntries(line.split(' ').map((part) => part.split('='))))
      .map(({ JobId, JobName, JobState }) => ({ id: JobId, name: JobName, state: JobState }));
  const of = (launchKey: string) => records().filter(({ name }) => name === launchKey);
  return {
    targetOf: (name) => `slurm-${name}`,
    launchesOf: async (launchKey) => of(launchKey).length,
    runs: async (launchKey) => {
      const names = await podman.run('ps', '--format', '{{.Names}}');
      return names.split('\n').includes(launchKey);
    },
    stopEngine: cluster.stopController,
    startEngine: cluster.startController,
    submitRequest: /^POST .*\/job\/submit/,
    rules: meddler.rules,
    loseNode: async (launchKey) => {
      meddler.rules.push({
        on: /^GET .*\/jobs/,
        after: async (text) => {
          const answer = JSON.parse(text) as { jobs: SlurmRecord[] };
          const jobs = answer.jobs.map((one) =>
            one.name === launchKey ? { ...one, job_state: 'NODE_FAIL' } : one,
          );
          return JSON.stringify({ ...answer, jobs });
        },
      });
    },
    credential: readFileSync(fileOf('token'), 'utf8'),
    nowhere: /partition/,
    impossibleGpu: { gpus: { count: 64, type: 'h200' }, said: /GPU/ },
  };
}

test.each(Object.keys(engineCases))('%s', { timeout: 300_000 }, async (name) => {
  await engineCases[name](lab, rig);
  meddler.rules.length = 0;
});

describe('only Slurm', () => {
  test('keeps a launch waiting while the token is expired, and says so', async () => {
    const { id } = await lab.launch('slurm-expired');
    const waiting = await lab.until(id, ({ attempts }) => attempts[0].observation !== null);
    expect(waiting.state).toBe('submitting');
    expect(waiting.attempts[0].observation?.detail).toContain('expired');
    writeToken('expired', 7200);
    const job = await lab.ended(id);
    expect(job.state, await lab.story(job)).toBe('succeeded');
  }, 300_000);

  test('loses a node: another attempt follows, from the checkpoint', async () => {
    const settings = { epochs: 30, checkpointEvery: 1 };
    const { id } = await lab.launch('slurm-plain', { settings });
    await lab.until(id, (job) => (job.progress?.step ?? 0) >= 8);
    const [node] = hostname().split('.');
    // It comes back by itself when slurmd registers anew (ReturnToService).
    cluster.scontrol('update', `nodename=${node}`, 'state=down', 'reason=test');
    const lost = await lab.until(id, ({ attempts }) => attempts.length === 2);
    expect(lost.attempts[0].reason?.code).toBe('infrastructure');
    const job = await lab.ended(id);
    expect(job.state, await lab.story(job)).toBe('succeeded');
    expect(job.verifiedDraws.mismatch).toBe(0);
  }, 300_000);

  test('is away with its token, and the check says what is wrong', async () => {
    const check = async () =>
      await lab.client.call<{ findings: { severity: string; detail: string }[] }>(
        'GET',
        '/v1/targets/slurm-plain/check',
      );
    expect((await check()).findings.every(({ severity }) => severity === 'ok')).toBe(true);
    await cluster.stopController();
    const { findings } = await check();
    await cluster.startController();
    expect(findings.at(-1)).toMatchObject({ severity: 'error' });
  }, 120_000);
});
