// Launches that their engine forgot: lost only after minutes in which nobody has heard of them, and
// then followed by another attempt. Both engines wait at once; it takes six minutes.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type Lab, openLab } from './lab.ts';
import { type Meddler, startMeddler } from './meddler.ts';
import { openPodman, type PodmanApi } from './podman.ts';
import { type SlurmCluster, startSlurmCluster } from './slurm-cluster.ts';
import { slurmTarget } from './slurm-target.ts';
import { pause, until } from './waiting.ts';

const podman = openPodman(inject('podmanFolder'));
let work: string;
let engine: PodmanApi;
let cluster: SlurmCluster;
let meddler: Meddler;
let lab: Lab;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-lost-'));
  chmodSync(work, 0o711); // slurmrestd is nobody
  engine = await podman.serve(join(work, 'podman.sock'));
  const ports = { controller: await freePort(), node: await freePort(), rest: await freePort() };
  const settings = ['MinJobAge=5'];
  cluster = await startSlurmCluster({ root: '/', folder: join(work, 'slurm'), ports, settings });
  const port = await freePort();
  meddler = await startMeddler({ listen: port, engine: { host: '127.0.0.1', port: ports.rest } });
  const credential = join(work, 'token');
  writeFileSync(credential, cluster.token(7200), { mode: 0o600 });
  lab = await openLab(join(work, 'lab'), ({ images, outputs, dataset }) => [
    {
      name: 'docker',
      engine: 'docker',
      address: `unix://${engine.socket}`,
      images: [inject('image').tagged],
      dataPaths: { [dataset]: images },
      outputPath: outputs,
      network: 'host',
    },
    {
      ...slurmTarget(podman, { images, outputs, dataset }),
      name: 'slurm',
      address: `http://127.0.0.1:${port}`,
      credentials: { file: credential },
    },
  ]);
}, 300_000);

afterAll(async () => {
  await lab?.stop();
  meddler?.close();
  await cluster?.stop();
  await engine?.stop();
  rmSync(work, { recursive: true, force: true });
});

const settings = { epochs: 60, validateEvery: 60, checkpointEvery: 2 };

/** Ends a trainer so that its engine keeps no record of it. */
const forget: Record<string, (launchKey: string) => Promise<void>> = {
  docker: async (launchKey) => {
    await podman.run('rm', '--force', '--time', '0', launchKey);
  },
  slurm: async (launchKey) => {
    meddler.rules.push({ on: /./, before: async () => false });
    await podman.run('kill', '--signal', 'KILL', launchKey);
    const isGone = () => !cluster.scontrol('--oneliner', 'show', 'jobs').includes(launchKey);
    await until(isGone, { seconds: 90, late: () => 'Slurm forgets the job' });
    meddler.rules.length = 0;
  },
};

describe.concurrent('a launch that was forgotten', () => {
  test.each(Object.keys(forget))(
    'by %s is lost after minutes, and followed',
    async (name) => {
      const { id } = await lab.launch(name, { settings });
      await lab.until(id, ({ progress }) => (progress?.step ?? 0) >= 16);
      await forget[name](`cw-${id}-1`);
      await pause(120);
      const waiting = await lab.until(id, () => true);
      expect(waiting).toMatchObject({ state: 'running', endedAt: null });
      expect(waiting.attempts[0].observation?.state).toBe('notFound');
      const lost = await lab.until(id, ({ attempts }) => attempts.length === 2, 300);
      expect(lost.attempts[0]).toMatchObject({
        state: 'lost',
        reason: { code: 'infrastructure', detail: expect.stringContaining('is silent') },
      });
      const job = await lab.ended(id);
      expect(job.state, await lab.story(job)).toBe('succeeded');
      expect(job.verifiedDraws).toMatchObject({ verified: 60, mismatch: 0 });
    },
    900_000,
  );
});
