// What only child processes can suffer: families, dead runners, recycled numbers, launches that
// were claimed and never started. Real processes.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import type { Handle, Observation } from '../../../api/launchers/launcher.ts';
import { createLocalLauncher } from '../../../api/launchers/local/local.ts';
import { processStart } from '../../../api/launchers/local/processes.ts';
import { launcherRegistry } from '../../../api/launchers/registry.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';

const work = mkdtempSync(join(tmpdir(), 'counterweight-processes-'));
const stateDir = join(work, 'launches');
afterAll(() => rmSync(work, { recursive: true, force: true }));

let made = 0;
const newKey = () => `cw-job${++made}-1`;
const folderOf = ({ launchKey }: Handle) => join(stateDir, launchKey);
const outOf = ({ launchKey }: Handle) => join(work, 'out', launchKey);
const bounded = { timeout: 15_000, interval: 20 };

const wait = 'setInterval(() => {}, 1000);';
const told = "require('node:fs').writeFileSync(process.env.CW_OUT + '/running', 'yes');";

function prepared(script: string, gpus?: object) {
  const command =
    script === '' ? [join(work, 'no-such-program')] : [process.execPath, '-e', script];
  const target = targetOf({ engine: 'local', command, outputPath: join(work, 'out') });
  const launcher = createLocalLauncher(target, { stateDir });
  const launchKey = newKey();
  const given = { launchKey, jobId: launchKey, dataPath: work, resources: { gpus } };
  const request = () => launcher.prepare(specOf(target, given));
  return { launcher, launchKey, request, target };
}

const { launcher: any } = prepared(wait);

async function running(script: string): Promise<Handle> {
  const { launcher, request } = prepared(`${script} ${told}`);
  const handle = await launcher.submit(request(), 'cw_token');
  await vi.waitFor(() => expect(existsSync(join(outOf(handle), 'running'))).toBe(true), bounded);
  return handle;
}

const seen = async (handle: Handle) =>
  (await any.poll([handle])).get(handle.launchKey) as Observation;

async function ended(handle: Handle): Promise<Observation> {
  return await vi.waitFor(async () => {
    const observation = await seen(handle);
    expect(observation.state).toMatch(/exited|failed/);
    return observation;
  }, bounded);
}

const pidOf = (handle: Handle, who: 'runner' | 'trainer'): number =>
  JSON.parse(readFileSync(join(folderOf(handle), `${who}.json`), 'utf8')).pid;

describe('the processes of a trainer', () => {
  const family = `const child = require('node:child_process').spawn(process.execPath, ['-e', '${wait}']);
    require('node:fs').writeFileSync(process.env.CW_OUT + '/child', String(child.pid)); ${wait}`;

  test.each([
    ['it is killed', (handle: Handle) => process.kill(pidOf(handle, 'trainer'), 'SIGKILL')],
    ['it is cancelled', (handle: Handle) => void any.cancel(handle, 30)],
  ])('end with it when %s', async (_, end) => {
    const handle = await running(family);
    const path = join(outOf(handle), 'child');
    await vi.waitFor(() => expect(readFileSync(path, 'utf8')).not.toBe(''), bounded);
    const child = Number(readFileSync(path, 'utf8'));
    expect(processStart(child)).not.toBeNull();
    end(handle);
    await vi.waitFor(() => expect(processStart(child)).toBeNull(), bounded);
  });

  test('are still seen, and can be ended, when their runner was killed', async () => {
    const handle = await running(wait);
    process.kill(pidOf(handle, 'runner'), 'SIGKILL');
    await vi.waitFor(async () => expect((await seen(handle)).detail).toMatch(/runner/), bounded);
    expect((await seen(handle)).state).toBe('running');
    expect(await any.cancel(handle, 0)).toBe('accepted');
    expect(await ended(handle)).toMatchObject({
      state: 'failed',
      reason: 'infrastructure',
      detail: 'vanished together with its runner',
    });
  });

  test('are neither believed nor killed where another process has their number', async () => {
    const handle = { launchKey: newKey() };
    mkdirSync(folderOf(handle), { recursive: true });
    const other = JSON.stringify({ pid: process.pid, started: 'at another time' });
    writeFileSync(join(folderOf(handle), 'runner.json'), other);
    writeFileSync(join(folderOf(handle), 'trainer.json'), other);
    expect((await seen(handle)).state).toBe('failed');
    expect(await any.cancel(handle, 0)).toBe('alreadyDone');
  });
});

describe('cancelling', () => {
  test('reaches what has only just been submitted', async () => {
    const { launcher, request } = prepared(wait);
    const handle = await launcher.submit(request(), 'cw_token');
    await launcher.cancel(handle, 0);
    expect(await ended(handle)).not.toMatchObject({ exit: { code: 0 } });
  });

  test('again with a shorter grace shortens it, with a longer one does not lengthen it', async () => {
    const heard = "require('node:fs').writeFileSync(process.env.CW_OUT + '/heard', 'yes')";
    const stubborn = `process.on('SIGTERM', () => ${heard}); ${wait}`;
    const handle = await running(stubborn);
    await any.cancel(handle, 600);
    // Two signals that come together are one: the second is sent when the first was heard.
    await vi.waitFor(() => expect(existsSync(join(outOf(handle), 'heard'))).toBe(true), bounded);
    expect((await seen(handle)).state).toBe('running');
    await any.cancel(handle, 0);
    await any.cancel(handle, 600);
    expect((await ended(handle)).exit).toEqual({ code: null, signal: 'SIGKILL' });
  });
});

describe('a launch that was claimed by a service which ended then', () => {
  function claimed(ageSeconds: number): Handle {
    const handle = { launchKey: newKey() };
    mkdirSync(folderOf(handle), { recursive: true });
    const then = Date.now() / 1000 - ageSeconds;
    utimesSync(folderOf(handle), then, then);
    return handle;
  }
  function runsLate(handle: Handle): boolean {
    const mark = join(work, `${handle.launchKey}.ran`);
    const script = `require('node:fs').writeFileSync('${mark}', 'ran')`;
    const runner = join(process.cwd(), 'api/launchers/local/run.mjs');
    const late = [runner, work, process.execPath, '-e', script];
    spawnSync(process.execPath, late, { cwd: folderOf(handle) });
    return existsSync(mark);
  }

  test('is waited for at first, and may still start', async () => {
    const handle = claimed(5);
    expect(await seen(handle)).toEqual({ state: 'starting' });
    expect(runsLate(handle)).toBe(true);
  });

  test('is failed after a minute, and nothing starts it later', async () => {
    const handle = claimed(120);
    expect(await seen(handle)).toMatchObject({ state: 'failed', detail: 'never started' });
    expect(runsLate(handle)).toBe(false);
    expect((await seen(handle)).state).toBe('failed');
  });

  test('is cancelled at once, and nothing starts it later', async () => {
    const handle = claimed(5);
    expect(await any.cancel(handle, 30)).toBe('alreadyDone');
    expect(runsLate(handle)).toBe(false);
  });
});

test('of two submits of one key at once, one starts and one is a conflict', async () => {
  const count = "require('node:fs').appendFileSync(process.env.CW_OUT + '/starts', 'x');";
  const { launcher, launchKey, request } = prepared(count);
  const both = await Promise.allSettled([
    launcher.submit(request(), 'cw_one'),
    launcher.submit(request(), 'cw_two'),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await ended({ launchKey });
  expect(readFileSync(join(outOf({ launchKey }), 'starts'), 'utf8')).toBe('x');
});

test('a command that does not exist is a failure with its cause', async () => {
  const { launcher, request } = prepared('');
  const handle = await launcher.submit(request(), 'cw_token');
  expect(await ended(handle)).toMatchObject({
    state: 'failed',
    reason: 'infrastructure',
    detail: expect.stringContaining('ENOENT'),
  });
});

test('a GPU that the target does not have is refused', () => {
  expect(() => prepared(wait, { count: 1 }).request()).toThrow(/has no GPU/);
  expect(() => prepared(wait, { count: 0, type: 'h200' }).request()).toThrow(/type "h200"/);
});

test('the registry makes one launcher per target', async () => {
  const { target } = prepared(wait);
  const launcherOf = launcherRegistry({ stateDir, readCredential: async () => '' });
  expect(await launcherOf(target)).toBe(await launcherOf(target));
});
