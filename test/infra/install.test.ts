// The installer, run as people run it, with a made-up npm in a folder of its own.

import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { root } from '../house-rules/repository.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cw-install-'));
  mkdirSync(join(folder, 'infra', 'node'), { recursive: true });
  const script = join('infra', 'node', 'install.mjs');
  cpSync(join(root, script), join(folder, script));
  writeLock('1.0.0', new Date());
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeLock(version: string, at: Date) {
  const text = JSON.stringify({ packages: { '': {}, 'node_modules/x': { version } } });
  writeFileSync(join(folder, 'package-lock.json'), text);
  utimesSync(join(folder, 'package-lock.json'), at, at);
}

/** An npm that notes its call, writes what npm would, and ends with a code. */
function fakeNpm(exitCode = 0) {
  const file = join(folder, 'npm-cli.js');
  const body = `
    const fs = require('node:fs');
    fs.appendFileSync('calls', process.argv.slice(2).join(' ') + '\\n');
    console.log('npm speaks');
    fs.mkdirSync('node_modules', { recursive: true });
    if (${exitCode} === 0) fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
    process.exitCode = ${exitCode};`;
  writeFileSync(file, body);
  return file;
}

function start(args: string[], { exitCode = 0 } = {}) {
  const env = { ...process.env, npm_execpath: fakeNpm(exitCode) };
  const script = join(folder, 'infra', 'node', 'install.mjs');
  const child = spawn(process.execPath, [script, ...args], { env, cwd: folder });
  const heard = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (heard.stdout += data));
  child.stderr.on('data', (data) => (heard.stderr += data));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  );
  return { child, heard, ended };
}

async function run(args: string[], options = {}) {
  const { heard, ended } = start(args, options);
  return { ...(await ended), ...heard };
}

const calls = () => {
  const file = join(folder, 'calls');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};

test('installs what is missing, then runs the command with everything that follows it', async () => {
  const script = 'console.log(JSON.stringify(process.argv.slice(1)))';
  const answer = await run(['--', 'node', '-e', script, 'demo', '--exit', '--json', 'out file']);
  expect(answer.code).toBe(0);
  expect(answer.stdout).toBe('["demo","--exit","--json","out file"]\n');
  expect(answer.stderr).toContain('installing the packages');
  expect(answer.stderr).toContain('npm speaks');
  expect(calls()).toEqual(['ci --include=dev --no-audit --no-fund']);
  expect(existsSync(join(folder, '.counterweight', 'install.lock'))).toBe(false);
});

test('installs nothing the second time', async () => {
  await run([]);
  const answer = await run(['--', 'node', '-e', '']);
  expect(answer).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  expect(calls()).toHaveLength(1);
});

test('installs again when the lock file asks for another version', async () => {
  await run([]);
  writeLock('2.0.0', new Date(Date.now() + 10_000));
  await run([]);
  expect(calls()).toHaveLength(2);
});

test('does not install again when only the date of the lock file is newer', async () => {
  await run([]);
  writeLock('1.0.0', new Date(Date.now() + 10_000));
  await run([]);
  expect(calls()).toHaveLength(1);
});

test('installs again after an installation that was not finished', async () => {
  mkdirSync(join(folder, 'node_modules', 'x'), { recursive: true });
  await run([]);
  expect(calls()).toHaveLength(1);
});

test('says that npm failed and does not start the command', async () => {
  const answer = await run(['--', 'node', '-e', 'console.log("started")'], { exitCode: 7 });
  expect(answer.code).toBe(1);
  expect(answer.stdout).toBe('');
  expect(answer.stderr).toContain('npm ci failed (exit code 7); nothing was started.');
  expect(existsSync(join(folder, '.counterweight', 'install.lock'))).toBe(false);
});

test('two at once install once', async () => {
  const both = await Promise.all([run(['--', 'node', '-e', '']), run(['--', 'node', '-e', ''])]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(calls()).toHaveLength(1);
});

test('takes over the lock of a process that is gone', async () => {
  const lock = join(folder, '.counterweight', 'install.lock');
  mkdirSync(lock, { recursive: true });
  const owner = { pid: 2 ** 30, host: hostname() };
  writeFileSync(join(lock, 'owner.json'), JSON.stringify(owner));
  const answer = await run([]);
  expect(answer.code).toBe(0);
  expect(calls()).toHaveLength(1);
});

test('ends with the exit code of the command', async () => {
  expect((await run(['--', 'node', '-e', 'process.exit(4)'])).code).toBe(4);
});

test('hands a signal on to the command and ends as it does', async () => {
  const script = `
    process.on('SIGTERM', () => { console.log('stopping'); process.exit(3); });
    setInterval(() => {}, 1000);
    console.log('ready');`;
  const { child, heard, ended } = start(['--', 'node', '-e', script]);
  child.stdout.once('data', () => child.kill('SIGTERM'));
  expect(await ended).toEqual({ code: 3, signal: null });
  expect(heard.stdout).toBe('ready\nstopping\n');
});
