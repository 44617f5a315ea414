// What the check of a Docker target finds.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createDockerLauncher } from '../../../api/launchers/docker/docker.ts';
import { type FakeDocker, startFakeDocker } from '../../support/fake-docker.ts';
import { targetOf } from '../../support/launch-specs.ts';

let engine: FakeDocker;
beforeAll(async () => {
  engine = await startFakeDocker();
});
afterAll(() => engine.stop());
beforeEach(() => engine.instead.clear());

const folder = mkdtempSync(join(tmpdir(), 'counterweight-docker-'));
const there = { severity: 'ok', detail: `folder ${folder} (outputPath) is there` };
const found = (fields: object = {}) =>
  createDockerLauncher(
    targetOf({
      engine: 'docker',
      address: `unix://${engine.socket}`,
      outputPath: folder,
      ...fields,
    }),
  ).check();

test('the check says what is there and what is missing', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const dataPaths = { liver: folder, lost: join(folder, 'lost'), flat: file };
  const images = ['trainer:1', 'absent:1'];
  expect(await found({ images, dataPaths, gpuTypes: ['h200'] })).toEqual([
    { severity: 'ok', detail: 'engine 4.3.1' },
    { severity: 'ok', detail: 'image trainer:1 is there' },
    { severity: 'error', detail: 'image absent:1 is not there: pull it first' },
    { severity: 'warning', detail: expect.stringContaining('no NVIDIA runtime') },
    { severity: 'ok', detail: `folder ${folder} (dataPaths.liver) is there` },
    {
      severity: 'warning',
      detail: expect.stringContaining(`folder ${folder}/lost (dataPaths.lost) is not there: make`),
    },
    { severity: 'error', detail: `folder ${file} (dataPaths.flat) is no folder` },
    there,
  ]);
});

test('a socket that is not there is a finding that names it, and not thrown', async () => {
  const address = `unix://${folder}/no.sock`;
  const [finding, ...others] = await found({ address });
  expect(finding).toEqual({
    severity: 'error',
    detail: expect.stringMatching(/ENOENT.*no\.sock: is the engine started/),
  });
  expect(finding.detail).toContain(address);
  expect(others).toEqual([there]);
});

test.each([
  [{ status: 500, body: { message: 'broken' } }, '500'],
  [{ status: 200, body: 'hello' }, '200'],
])('an answer that is no version is an error: %j', async (answer, status) => {
  engine.instead.set('GET /version', answer);
  expect(await found({ images: ['trainer:1'] })).toEqual([
    {
      severity: 'error',
      detail: expect.stringMatching(`${engine.socket} answered ${status} .*Docker or podman`),
    },
    there,
  ]);
});

test('an image of which the engine cannot tell is not said to be missing', async () => {
  engine.instead.set('GET /images/', { status: 500, body: { message: 'locked' } });
  const [, finding] = await found({ images: ['trainer:1'] });
  expect(finding.detail).toBe('image trainer:1: the engine said 500 {"message":"locked"}');
});
