// A lab: some real images, a service as a process, a snapshot, and jobs on its targets. The service
// can be killed and started again on the same address.

import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Job } from '../../api/contract/jobs.ts';
import { type Client, createClient } from '../../trainer/client.ts';
import { systemIo } from '../../trainer/commands/io.ts';
import { pushFolder } from '../../trainer/commands/push.ts';
import { hasEnded } from '../../trainer/commands/watch.ts';
import { type DemoService, startService } from '../../trainer/demo/service.ts';
import { writePhantomDataset } from '../../trainer/phantom.ts';
import { steadyPort } from '../support/free-port.ts';
import { pause, until } from './waiting.ts';

const realImages = fileURLToPath(
  new URL('../../../shared/data/Dataset004_Hippocampus', import.meta.url),
);
const caseCount = 10;
const token = 'cw_lab_admin_token_only_on_loopback';
const quiet = { ...systemIo, say: () => {}, terminal: false };

/** Two epochs of a small network: some seconds on one core. */
const settings = {
  epochs: 2,
  drawsPerEpoch: 8,
  batchSize: 2,
  validateEvery: 2,
  network: { features: [4, 8] },
  patch: [16, 16, 16],
};
const resources = { cpus: 1, memoryMiB: 1500, timeoutSeconds: 600 };

/** What a launch says besides its target; `settings` and `resources` add to the usual ones. */
export type LaunchWords = {
  settings?: object;
  resources?: object;
  reason?: string;
};

export type Lab = {
  client: Client;
  /** Folder of the images on this machine, and of what jobs write. */
  images: string;
  outputs: string;
  dataset: string;
  address: string;
  launch: (target: string, words?: LaunchWords) => Promise<Job>;
  /** Asks until a condition holds; throws, with the job, where it does not within a time. */
  until: (id: string, met: (job: Job) => boolean, seconds?: number) => Promise<Job>;
  ended: (id: string, seconds?: number) => Promise<Job>;
  /** What a job's trainer said, and what the service said of it: for messages. */
  story: (job: Job) => Promise<string>;
  /** All that the service stores, logs and answers, as one text. */
  traces: () => Promise<string>;
  /** Kills the service. */
  kill: () => Promise<void>;
  /** Starts it again. */
  start: () => Promise<void>;
  stop: () => Promise<void>;
};

export type Places = Pick<Lab, 'images' | 'outputs' | 'dataset' | 'address'>;

/** `targetsOf` is told where the images are, and how trainers reach the service. */
export async function openLab(
  folder: string,
  targetsOf: (places: Places) => object[] | Promise<object[]>,
): Promise<Lab> {
  const { images, dataset } = await someImages(folder);
  const outputs = join(folder, 'outputs');
  mkdirSync(outputs, { recursive: true });
  chownSync(outputs, 1000, 1000); // the image's user
  const port = await steadyPort();
  const address = `http://127.0.0.1:${port}`;
  const targets = await targetsOf({ images, outputs, dataset, address });
  let service: DemoService | null = null;
  const logged: string[] = [];
  const client = createClient({ api: address, token, fetch, sleep: (ms) => pause(ms / 1000) });
  const start: Lab['start'] = async () => {
    const dataDir = join(folder, 'service');
    const say = (line: string) => logged.push(line);
    service = await startService({ dataDir, port, targets, token, say });
  };
  await start();
  const snapshot = await snapshotOf(client, images, dataset);
  return {
    client,
    images,
    outputs,
    dataset,
    address,
    ...readersOf(client),
    launch: async (target, words = {}) => {
      const body = JSON.stringify({
        ...{ snapshot, target, seed: 3, ...imageOf(targets, target) },
        reason: words.reason ?? 'engine test',
        settings: { ...settings, ...words.settings },
        resources: { ...resources, ...words.resources },
      });
      const headers = { 'content-type': 'application/json' };
      const answer = await client.send('POST', '/v1/jobs', { body, headers });
      return (await answer.json()) as Job;
    },
    traces: async () => {
      const answers = await Promise.all(readable.map((path) => client.send('GET', path)));
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      return [...logged, ...texts, ...storedIn(join(folder, 'service'))].join('\n');
    },
    kill: async () => await service?.stop('SIGKILL'),
    start,
    stop: async () => await service?.stop(),
  };
}

function readersOf(client: Client): Pick<Lab, 'until' | 'ended' | 'story'> {
  const untilJob: Lab['until'] = async (id, met, seconds = 240) => {
    let job: Job | undefined;
    return await until(
      async () => {
        job = await client.call<Job>('GET', `/v1/jobs/${id}`);
        return met(job) ? job : false;
      },
      { seconds, late: () => `job ${id} stays ${JSON.stringify(job, null, 1)}` },
    );
  };
  return {
    until: untilJob,
    ended: (id, seconds) => untilJob(id, hasEnded, seconds),
    story: async ({ id, attempts }) => {
      const log = await (await client.send('GET', `/v1/jobs/${id}/log`)).text();
      return `${JSON.stringify(attempts, null, 1)}\n${log}`;
    },
  };
}

/** What anybody with a token reads of jobs and targets. */
const readable = ['/v1/jobs?limit=500', '/v1/audit/export', '/v1/targets', '/v1/usage?by=job'];

function storedIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'));
}

function imageOf(targets: object[], name: string): { image?: string } {
  const target = targets.find((one) => (one as { name: string }).name === name);
  const [image] = (target as { images?: string[] } | undefined)?.images ?? [];
  return image === undefined ? {} : { image };
}

/** The first real cases, or phantoms where there are none. */
async function someImages(folder: string): Promise<{ images: string; dataset: string }> {
  if (!existsSync(realImages)) {
    process.stderr.write(
      `NOT ON REAL IMAGES: ${realImages} is not there, so phantoms stand in. It is Task04 of the\n` +
        'Medical Segmentation Decathlon in nnU-Net raw format.\n',
    );
    const images = join(folder, 'Dataset001_Phantom');
    await writePhantomDataset(images, { cases: caseCount, shape: [16, 16, 16], lesionEvery: 3 });
    return { images, dataset: 'Phantom' };
  }
  const images = join(folder, 'Dataset004_Hippocampus');
  const description = JSON.parse(readFileSync(join(realImages, 'dataset.json'), 'utf8'));
  for (const name of ['imagesTr', 'labelsTr']) mkdirSync(join(images, name), { recursive: true });
  for (const label of readdirSync(join(realImages, 'labelsTr')).sort().slice(0, caseCount)) {
    const image = label.replace(/\.nii\.gz$/, '_0000.nii.gz');
    for (const path of [`imagesTr/${image}`, `labelsTr/${label}`]) {
      copyFileSync(join(realImages, path), join(images, path));
    }
  }
  const told = { ...description, numTraining: caseCount };
  writeFileSync(join(images, 'dataset.json'), JSON.stringify(told));
  return { images, dataset: 'Hippocampus' };
}

/** Rare label sets more often; frozen once, for every job. */
async function snapshotOf(client: Client, images: string, dataset: string): Promise<string> {
  await pushFolder(quiet, client, images, { reason: 'engine test', split: 'five-fold' });
  const path = `/v1/datasets/${dataset}`;
  const terms = [
    { name: 'sharp', kind: 'formula', expression: 'case.sharpness > 0.5 ? 2.0 : 1.0' },
    { name: 'rare', kind: 'rarity', by: ['labels'], method: 'inverse-frequency', power: 0.5 },
  ];
  const rules = { sampling: { terms } };
  await client.call('POST', `${path}/rule-sets`, { name: 'rare', rules, reason: 'engine test' });
  const body = {
    version: 1,
    split: 'five-fold',
    fold: 0,
    ruleSet: 'rare@1',
    reason: 'engine test',
  };
  return (await client.call<{ digest: string }>('POST', `${path}/snapshots`, body)).digest;
}
