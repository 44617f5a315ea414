// The Docker launcher on a real engine: podman, with the real trainer in real containers.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { engineCases } from './cases.ts';
import { type Lab, openLab } from './lab.ts';
import { type Meddler, startMeddler } from './meddler.ts';
import { openPodman, type PodmanApi } from './podman.ts';
import { type Rig, targetsOf } from './rig.ts';

let work: string;
const podman = openPodman(inject('podmanFolder'));
let engine: PodmanApi;
let meddler: Meddler;
let lab: Lab;
let rig: Rig;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'counterweight-docker-'));
  engine = await podman.serve(join(work, 'podman.sock'));
  const socket = join(work, 'engine.sock');
  meddler = await startMeddler({ listen: socket, engine: { socketPath: engine.socket } });
  lab = await openLab(join(work, 'lab'), ({ images, outputs, dataset }) =>
    targetsOf(
      'docker',
      {
        engine: 'docker',
        address: `unix://${socket}`,
        images: [inject('image').tagged],
        dataPaths: { [dataset]: images },
        outputPath: outputs,
        gpuTypes: ['h200'],
        network: 'host',
      },
      { images: ['localhost/not-there:1'] },
    ),
  );
  rig = rigOf();
}, 300_000);

afterAll(async () => {
  await lab?.stop();
  meddler?.close();
  await engine?.stop();
  rmSync(work, { recursive: true, force: true });
});

function rigOf(): Rig {
  const inspect = async (launchKey: string) =>
    await podman
      .run('inspect', launchKey, '--format', '{{.State.Status}}')
      .catch(() => 'not there');
  return {
    targetOf: (name) => `docker-${name}`,
    launchesOf: async (launchKey) => {
      const names = await podman.run('ps', '--all', '--format', '{{.Names}}');
      return names.split('\n').filter((name) => name === launchKey).length;
    },
    runs: async (launchKey) => (await inspect(launchKey)) === 'running',
    stopEngine: engine.stop,
    startEngine: engine.start,
    submitRequest: /^POST \/containers\/[^/]+\/start/,
    rules: meddler.rules,
    loseNode: async (launchKey) => {
      // What podman says of a container that was never started.
      meddler.rules.push(
        {
          on: /^GET \/containers\/json/,
          after: async (text) => JSON.stringify(told(JSON.parse(text), launchKey)),
        },
        {
          on: new RegExp(`^GET /containers/${launchKey}/json`),
          after: async (text) => {
            const found = JSON.parse(text);
            return JSON.stringify({ ...found, State: { Status: 'exited', ExitCode: -1 } });
          },
        },
      );
    },
    credential: null,
    nowhere: /pull the image first/,
    impossibleGpu: { gpus: { count: 1 }, said: /left the GPU out of the container/ },
  };
}

const told = (listed: { Names: string[]; State: string }[], launchKey: string) =>
  listed.map((one) => (one.Names[0] === `/${launchKey}` ? { ...one, State: 'exited' } : one));

test.each(Object.keys(engineCases))('%s', { timeout: 300_000 }, async (name) => {
  await engineCases[name](lab, rig);
  meddler.rules.length = 0;
});

test('the check of a target says what the engine has', async () => {
  const { findings } = await lab.client.call<{ findings: { detail: string }[] }>(
    'GET',
    '/v1/targets/docker-plain/check',
  );
  expect(findings.map(({ detail }) => detail)).toContain(
    'image localhost/counterweight-trainer:cpu is there',
  );
});
