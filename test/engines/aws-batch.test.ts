// The AWS Batch launcher on moto: its states are a stand-in's, its jobs are the trainer's image in
// real containers of podman.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, inject, test } from 'vitest';
import { enginesFolder } from '../support/engines.ts';
import { freePort } from '../support/free-port.ts';
import { engineCases } from './cases.ts';
import { type Lab, openLab } from './lab.ts';
import { type Meddler, startMeddler } from './meddler.ts';
import { type Moto, startMoto } from './moto.ts';
import { openPodman, type PodmanApi } from './podman.ts';
import { type Rig, targetsOf } from './rig.ts';

const podman = openPodman(inject('podmanFolder'));
let work: string;
let engine: PodmanApi;
let moto: Moto;
let meddler: Meddler;
let lab: Lab;
let rig: Rig;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-aws-'));
  engine = await podman.serve(join(work, 'podman.sock'));
  const port = await freePort();
  lab = await openLab(join(work, 'lab'), async ({ images, outputs, dataset }) => {
    moto = await startMoto(join(work, 'moto'), {
      python: join(enginesFolder as string, 'moto/bin/python'),
      socket: engine.socket,
      image: inject('image').pinned,
      mounts: [
        { source: images, target: `/data/${basename(images)}`, readOnly: true },
        { source: outputs, target: '/out', readOnly: false },
      ],
    });
    const to = { host: '127.0.0.1', port: new URL(moto.address).port };
    meddler = await startMeddler({ listen: port, engine: to });
    return targets(`http://127.0.0.1:${port}`, { images, dataset });
  });
  rig = rigOf();
}, 300_000);

afterAll(async () => {
  await lab?.stop();
  meddler?.close();
  await moto?.stop();
  await engine?.stop();
  rmSync(work, { recursive: true, force: true });
});

function targets(address: string, { images, dataset }: Pick<Lab, 'images' | 'dataset'>): object[] {
  process.env.CW_TEST_AWS_KEYS = moto.credential;
  const { pinned } = inject('image');
  const base = {
    engine: 'aws-batch',
    address,
    logsAddress: moto.address,
    credentials: { env: 'CW_TEST_AWS_KEYS' },
    region: moto.region,
    queue: moto.queue,
    images: [pinned],
    jobDefinitions: { [pinned]: moto.jobDefinition },
    dataPaths: { [dataset]: `/data/${basename(images)}` },
    outputPath: '/out',
    gpuTypes: ['h200'],
    pollSeconds: 2,
  };
  return targetsOf('aws', base, { queue: 'nowhere' });
}

function rigOf(): Rig {
  const jobsOf = async (launchKey: string) => {
    const filters = [{ name: 'JOB_NAME', values: [launchKey] }];
    const { jobSummaryList } = await moto.call('ListJobs', { jobQueue: moto.queue, filters });
    return jobSummaryList as { jobId: string; jobName: string; status: string }[];
  };
  return {
    targetOf: (name) => `aws-${name}`,
    launchesOf: async (launchKey) => (await jobsOf(launchKey)).length,
    runs: async (launchKey) =>
      (await jobsOf(launchKey)).some(({ status }) => ['STARTING', 'RUNNING'].includes(status)),
    // moto keeps everything in memory, so it is only stopped in its tracks.
    stopEngine: async () => {
      process.kill(moto.pid, 'SIGSTOP');
    },
    startEngine: async () => {
      process.kill(moto.pid, 'SIGCONT');
    },
    submitRequest: /^POST \/v1\/submitjob/,
    rules: meddler.rules,
    loseNode: async (launchKey) => {
      meddler.rules.push({
        on: /^POST \/v1\/describejobs/,
        after: async (text) => {
          const answer = JSON.parse(text) as { jobs: { jobName: string }[] };
          const lost = { status: 'FAILED', statusReason: 'Host EC2 (instance i-0) terminated.' };
          const jobs = answer.jobs.map((one) =>
            one.jobName === launchKey ? { ...one, ...lost } : one,
          );
          return JSON.stringify({ ...answer, jobs });
        },
      });
    },
    credential: moto.credential.split(':')[1],
    nowhere: /queue/i,
    impossibleGpu: { gpus: { count: 1, type: 'b200' }, said: /b200/ },
  };
}

test.each(Object.keys(engineCases))('%s', { timeout: 300_000 }, async (name) => {
  await engineCases[name](lab, rig);
  meddler.rules.length = 0;
});
