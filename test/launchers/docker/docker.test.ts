// The Docker launcher's requests and what it makes of answers. On a real engine, with real
// trainers, it is tested by `npm run test:engines`.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDockerLauncher } from '../../../api/launchers/docker/docker.ts';
import { unframed } from '../../../api/launchers/docker/socket.ts';
import { type FakeDocker, startFakeDocker } from '../../support/fake-docker.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';

let engine: FakeDocker;
beforeAll(async () => {
  engine = await startFakeDocker();
});
afterAll(() => engine.stop());
beforeEach(() => {
  Object.assign(engine, { dropsGpus: false, asked: [] });
  engine.containers.clear();
  engine.instead.clear();
});

const image = `registry.example.org/trainer@sha256:${'a'.repeat(64)}`;
const withFields = (fields: object = {}) =>
  targetOf({
    engine: 'docker',
    address: `unix://${engine.socket}`,
    images: [image],
    dataPaths: { liver: '/srv/images/Dataset004_Liver' },
    outputPath: '/srv/out',
    gpuTypes: ['h200'],
    environment: { nnUNet_preprocessed: '/preprocessed' },
    ...fields,
  });

function prepared(fields: object = {}, given: object = {}) {
  const target = withFields(fields);
  const launcher = createDockerLauncher(target);
  const request = launcher.prepare(specOf(target, given));
  return { launcher, request, handle: { launchKey: request.launchKey } };
}
const gpu = { resources: { gpus: { count: 1, type: 'h200' } } };
const only = () => [...engine.containers.values()][0];

test('asks for exactly this container, and adds the token only when it submits', async () => {
  const mounts = [{ source: '/srv/preprocessed', target: '/preprocessed' }];
  const { launcher, request } = prepared({ mounts, user: '1000:1000' }, gpu);
  const golden = JSON.parse(readFileSync('test/launchers/golden/docker.json', 'utf8'));
  expect(request).toEqual(golden);
  await launcher.submit(request, 'cw_secret');
  expect(JSON.stringify(request)).not.toContain('cw_secret');
  expect(only().body.Env.at(-1)).toBe('CW_TOKEN=cw_secret');
});

describe('submitting', () => {
  test('a key twice is a conflict, whichever status the engine has for it', async () => {
    const { launcher, request } = prepared();
    await launcher.submit(request, 'one');
    await expect(launcher.submit(request, 'two')).rejects.toMatchObject({ kind: 'conflict' });
    expect(only().body.Env.at(-1)).toBe('CW_TOKEN=one');
  });

  test('an image that is not there is refused, with what to do', async () => {
    const images = ['absent:1'];
    const { launcher, request } = prepared({ images });
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({
      kind: 'unprocessable',
      detail: expect.stringMatching(/No such image: absent:1: pull the image first/),
    });
  });

  test('a container that cannot be started is removed and refused in the words of the engine', async () => {
    const { launcher, request } = prepared();
    const body = { message: 'bind source path does not exist: /srv/images' };
    engine.instead.set(`POST /containers/${request.launchKey}/start`, { status: 500, body });
    await expect(launcher.submit(request, 'cw_secret')).rejects.toMatchObject({
      kind: 'unprocessable',
      detail: expect.stringContaining('bind source path does not exist'),
    });
    expect(engine.containers.size).toBe(0);
  });

  test('a start that is refused does not show the token either', async () => {
    const { launcher, request } = prepared();
    const body = { message: 'cannot run with CW_TOKEN=cw_secret' };
    engine.instead.set(`POST /containers/${request.launchKey}/start`, { status: 400, body });
    const refused = await launcher.submit(request, 'cw_secret').catch((error) => error);
    expect(refused.detail).toContain('cannot run with CW_TOKEN=***');
  });

  test('a full disk is asked again later, and the next submit goes well', async () => {
    const { launcher, request } = prepared();
    for (const path of ['/containers/create', `/containers/${request.launchKey}/start`]) {
      const body = { message: 'write /var/lib: no space left on device' };
      engine.instead.set(`POST ${path}`, { status: 500, body });
      await expect(launcher.submit(request, 'x')).rejects.toMatchObject({
        kind: 'launcher-failed',
      });
      engine.instead.clear();
      expect(await launcher.find(request.launchKey)).toBeNull();
    }
    await launcher.submit(request, 'x');
    expect(only().status).toBe('running');
  });

  test('a GPU that the engine drops without a word is refused, and nothing is started', async () => {
    engine.dropsGpus = true;
    const { launcher, request } = prepared({}, gpu);
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({ kind: 'unprocessable' });
    expect(engine.containers.size).toBe(0);
    expect(engine.asked.filter((one) => one.endsWith('/start'))).toEqual([]);
  });

  test('an engine that hangs up leaves a doubt, without the token in it', async () => {
    const { launcher, request } = prepared();
    engine.instead.set('POST /containers/create', 'hang up');
    const refused = await launcher.submit(request, 'cw_secret').catch((error) => error);
    expect(refused).toMatchObject({ kind: 'unavailable' });
    expect(refused.detail).toContain('ECONNRESET');
    expect(`${refused.detail} ${refused.stack}`).not.toContain('cw_secret');
  });

  test('an engine that repeats the token is not repeated', async () => {
    const { launcher, request } = prepared();
    const body = { message: 'bad variable CW_TOKEN=cw_secret' };
    engine.instead.set('POST /containers/create', { status: 400, body });
    const refused = await launcher.submit(request, 'cw_secret').catch((error) => error);
    expect(refused.detail).toContain('bad variable CW_TOKEN=***');
  });
});

describe('finding', () => {
  test('a container that a crash left unstarted starts it, once', async () => {
    const { launcher, request, handle } = prepared();
    engine.instead.set(`POST /containers/${request.launchKey}/start`, 'hang up');
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({ kind: 'unavailable' });
    engine.instead.clear();
    expect(await launcher.find(request.launchKey)).toEqual(handle);
    expect(await launcher.find(request.launchKey)).toEqual(handle);
    expect(only().status).toBe('running');
    expect(engine.asked.filter((one) => one.endsWith('/start'))).toHaveLength(2);
  });

  test('nothing is null, and an engine that is away is no null', async () => {
    const { launcher } = prepared();
    expect(await launcher.find('cw-never-1')).toBeNull();
    engine.instead.set('GET /containers/', 'hang up');
    await expect(launcher.find('cw-never-1')).rejects.toMatchObject({ kind: 'unavailable' });
  });
});

describe('polling', () => {
  const seen = async (change: object) => {
    const { launcher, request, handle } = prepared();
    await launcher.submit(request, 'x');
    Object.assign(only(), change);
    return (await launcher.poll([handle])).get(handle.launchKey);
  };
  const exit = (code: number) => ({ code, signal: null });
  test.each([
    ['running', {}, { state: 'running' }],
    ['paused', { status: 'paused' }, { state: 'running', detail: 'paused on the engine' }],
    [
      'ended',
      { status: 'exited', exitCode: 7 },
      { state: 'exited', exit: exit(7), output: 'last words\n' },
    ],
    [
      'ended, and not cleaned up by podman yet',
      { status: 'stopped', exitCode: 0 },
      { state: 'exited', exit: exit(0), output: 'last words\n' },
    ],
    [
      'killed for memory',
      { status: 'exited', exitCode: 137, oomKilled: true },
      { state: 'failed', reason: 'outOfMemory', exit: exit(137) },
    ],
    ['killed', { status: 'exited', exitCode: 137 }, { state: 'exited', exit: exit(137) }],
    ['never started', { status: 'exited', exitCode: -1 }, { reason: 'infrastructure' }],
  ])('says of a container that it is %s', async (_, change, expected) => {
    expect(await seen(change)).toMatchObject(expected);
  });

  test('one container whose log is too large or cannot be had blinds for none', async () => {
    const { launcher, request, handle } = prepared();
    await launcher.submit(request, 'x');
    Object.assign(only(), { status: 'exited', exitCode: 7 });
    const other = { ...request, launchKey: 'cw-other-1' };
    await launcher.submit(other, 'y');
    const large = { status: 200, body: 'x'.repeat(9 * 2 ** 20) };
    for (const instead of [large, 'hang up', { status: 500, body: {} }] as const) {
      engine.instead.set(`GET /containers/${handle.launchKey}/logs`, instead);
      const told = await launcher.poll([handle, { launchKey: other.launchKey }]);
      expect(told.get(handle.launchKey)).toEqual({ state: 'exited', exit: exit(7) });
      expect(told.get(other.launchKey)).toEqual({ state: 'running' });
    }
  });

  test('of a long output the end is kept', async () => {
    const body = `${'x'.repeat(100_000)} the end`;
    engine.instead.set('GET /containers/cw-01jd8z4n5v6w7x8y9zabcdefgh-1/logs', {
      status: 200,
      body,
    });
    const told = await seen({ status: 'exited', exitCode: 7 });
    expect(told?.output).toBe(body.slice(-16_384));
  });

  test('asks for all containers in one request, and knows which are gone', async () => {
    const { launcher, request, handle } = prepared();
    await launcher.submit(request, 'x');
    engine.asked = [];
    const others = Array.from({ length: 50 }, (_, k) => ({ launchKey: `cw-other-${k}` }));
    const told = await launcher.poll([handle, ...others]);
    expect(engine.asked).toHaveLength(1);
    expect(told.get(handle.launchKey)).toEqual({ state: 'running' });
    expect(told.get('cw-other-7')).toEqual({ state: 'notFound' });
  });
});

test('cancels with SIGTERM, and with SIGKILL when no grace is left', async () => {
  const { launcher, request, handle } = prepared();
  await launcher.submit(request, 'x');
  expect(await launcher.cancel(handle, 30)).toBe('accepted');
  expect(await launcher.cancel(handle, 0)).toBe('accepted');
  expect(only().signals).toEqual(['SIGTERM', 'SIGKILL']);
  expect(await launcher.cancel(handle, 0)).toBe('alreadyDone');
  await launcher.cleanup(handle);
  await launcher.cleanup(handle);
  expect(engine.containers.size).toBe(0);
  expect(await launcher.cancel(handle, 0)).toBe('gone');
});

describe('what no launch can be made of is refused before it is stored', () => {
  test.each([
    ['a loopback address', {}, { api: 'http://127.0.0.1:8787' }, 'cannot reach the service'],
    [
      'a type among several',
      { gpuTypes: ['h200', 'a100'] },
      gpu,
      'Docker cannot choose one: leave gpus.type out',
    ],
    ['a GPU where there is none', { gpuTypes: [] }, gpu, 'has no GPU'],
  ])('%s', (_, fields, given, sentence) => {
    expect(() => prepared(fields, given)).toThrow(sentence);
  });

  test('and the loopback address is fine on the network of the host', () => {
    const { request } = prepared({ network: 'host' }, { api: 'http://127.0.0.1:8787' });
    expect(JSON.stringify(request)).toContain('CW_API=http://127.0.0.1:8787');
  });

  test.each([
    ['address', { address: 'tcp://10.0.0.1:2375' }],
    ['address', { address: undefined }],
    ['outputPath', { outputPath: undefined }],
    ['user', { user: 'nobody' }],
    ['mounts.0.source', { mounts: [{ source: 'relative', target: '/x' }] }],
  ])('a target is refused for its %s', (field, fields) => {
    expect(() => createDockerLauncher(withFields(fields))).toThrow(`field ${field}:`);
  });
});

test('output without frames, as a terminal has it, is left as it is', () => {
  expect(unframed('plain text, longer than one head')).toBe('plain text, longer than one head');
});
