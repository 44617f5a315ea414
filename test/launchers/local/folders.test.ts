// The folders of the local launcher: launches that never came to stand are launched after all,
// once; what has served is removed in time; the last lines of a trainer are told.

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLocalLauncher } from '../../../api/launchers/local/local.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';
import { observed } from '../contract.ts';

const work = mkdtempSync(join(tmpdir(), 'counterweight-folders-'));
const stateDir = join(work, 'launches');
mkdirSync(stateDir);
let launches = 0;

const folderOf = (launchKey: string) => join(stateDir, launchKey);
const newKey = () => `cw-folders-${++launches}`;

function launcherOf(script: string, dir = stateDir) {
  const command = [process.execPath, '-e', script];
  const target = targetOf({ engine: 'local', outputPath: join(work, 'out'), command });
  const launcher = createLocalLauncher(target, { stateDir: dir });
  const submit = async (launchKey: string) => {
    const spec = specOf(target, { launchKey, jobId: launchKey, dataPath: work });
    return await launcher.submit(launcher.prepare(spec), 'cw_token');
  };
  return { launcher, submit };
}

function age(path: string, seconds: number): void {
  const then = Date.now() / 1000 - seconds;
  utimesSync(path, then, then);
}

function claimed(seconds: number): string {
  const launchKey = newKey();
  mkdirSync(folderOf(launchKey));
  age(folderOf(launchKey), seconds);
  return launchKey;
}

/** A runner that was started in a folder and is held up before its first act. */
function heldRunner(launchKey: string, script: string) {
  const runner = join(process.cwd(), 'api/launchers/local/run.mjs');
  const held = `process.stdin.once('data', () => import(${JSON.stringify(runner)}))`;
  const child = spawn(
    process.execPath,
    ['-e', held, runner, work, process.execPath, '-e', script],
    { cwd: folderOf(launchKey), stdio: ['pipe', 'ignore', 'ignore'] },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    letGo: async () => {
      child.stdin.end('go');
      return await ended;
    },
  };
}

describe('a claim without a runner', () => {
  const started = join(work, 'started');
  const note = (who: string) =>
    `require('node:fs').appendFileSync(${JSON.stringify(started)}, '${who} ')`;

  test('is taken for a launch while its runner may come', async () => {
    const { launcher } = launcherOf('0');
    const launchKey = claimed(20);
    expect(await launcher.find(launchKey)).toEqual({ launchKey });
  });

  test('is launched after all, and a runner that comes late starts nothing', async () => {
    const { launcher, submit } = launcherOf(note('second'));
    const launchKey = claimed(40);
    const late = heldRunner(launchKey, note('first'));
    expect(await launcher.find(launchKey)).toBeNull();
    const handle = await submit(launchKey);
    expect(await late.letGo()).toBe(1);
    await observed(launcher, handle, (found) => found?.state === 'exited');
    expect(readFileSync(started, 'utf8')).toBe('second ');
    expect(await launcher.find(launchKey)).toEqual({ launchKey });
  });

  test('lets a runner start that was quicker than who looked', async () => {
    const { launcher } = launcherOf('0');
    const launchKey = claimed(40);
    expect(await heldRunner(launchKey, '0').letGo()).toBe(0);
    age(folderOf(launchKey), 40);
    expect(await launcher.find(launchKey)).toEqual({ launchKey });
  });
});

describe('the folder of a launch', () => {
  const dayS = 86_400;

  test('is kept for a week after it was cleared up, then removed', async () => {
    const dir = join(work, 'week');
    const { launcher, submit } = launcherOf('0', dir);
    const handles = [];
    for (let k = 0; k < 3; k++) handles.push(await submit(newKey()));
    const [old, recent, live] = handles;
    for (const handle of handles) {
      await observed(launcher, handle, (found) => found?.state === 'exited');
      age(join(dir, handle.launchKey), 30 * dayS);
    }
    for (const handle of [old, recent]) {
      writeFileSync(join(dir, handle.launchKey, 'served'), '');
    }
    age(join(dir, old.launchKey, 'served'), 8 * dayS);
    age(join(dir, recent.launchKey, 'served'), 6 * dayS);
    mkdirSync(join(dir, 'outputs'));
    const last = await submit(newKey());
    await observed(launcher, last, (found) => found?.state === 'exited');
    await launcher.cleanup(last);
    const names = [recent, live, last].map(({ launchKey }) => launchKey);
    expect(readdirSync(dir).sort()).toEqual([...names, 'outputs'].sort());
    expect(existsSync(join(dir, last.launchKey, 'served'))).toBe(true);
  });

  test('of a launch that never stood is removed likewise', async () => {
    const dir = join(work, 'never');
    const { launcher } = launcherOf('0', dir);
    const launchKey = newKey();
    mkdirSync(join(dir, launchKey), { recursive: true });
    age(join(dir, launchKey), 40);
    expect(await launcher.find(launchKey)).toBeNull();
    const [aside] = readdirSync(dir);
    expect(aside).toContain(`${launchKey}.never-stood-`);
    age(join(dir, aside), 8 * dayS);
    await launcher.cleanup({ launchKey: 'cw-nothing-1' });
    expect(readdirSync(dir)).toEqual([]);
  });
});

test('the last lines of a trainer are told with its end, and no more than some of them', async () => {
  const { launcher, submit } = launcherOf("console.error('Cannot find module x')");
  const handle = await submit(newKey());
  const found = await observed(launcher, handle, (one) => one?.state === 'exited');
  expect(found?.output).toBe('Cannot find module x\n');
  const long = launcherOf("for (let k = 0; k < 5000; k++) console.log('line ' + k)");
  const other = await long.submit(newKey());
  const { output } = (await observed(long.launcher, other, (one) => one?.state === 'exited')) ?? {};
  expect(output?.length).toBeLessThanOrEqual(16_384);
  expect(output).toMatch(/^line \d+\n[\s\S]*line 4999\n$/);
});
