// Installs what package-lock.json asks for if it is not there yet, then runs the command after
// `--`: before anything is installed, so in plain JavaScript with Node's own modules only.

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const wanted = join(root, 'package-lock.json');
const present = join(root, 'node_modules', '.package-lock.json');
const lock = join(root, '.counterweight', 'install.lock');
const oldestNode = [20, 19];
const orphanedAfterMs = 30 * 60_000;

const say = (text) => process.stderr.write(`counterweight: ${text}\n`);

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  say(`needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}.`);
  say('Install a current one from https://nodejs.org and run the same command again.');
  process.exit(1);
}

/** npm writes its own record last, so a half-finished installation has none. */
function isInstalled() {
  if (!existsSync(present)) return false;
  if (statSync(present).mtimeMs >= statSync(wanted).mtimeMs) return true;
  if (!isSameContent()) return false;
  utimesSync(present, new Date(), new Date());
  return true;
}

/** A newer lock file asks for the same packages where only git has touched it. */
function isSameContent() {
  try {
    const { packages: asked } = JSON.parse(readFileSync(wanted, 'utf8'));
    const { packages: there } = JSON.parse(readFileSync(present, 'utf8'));
    const differs = ([path, one]) => {
      const found = there[path];
      if (found === undefined) return path !== '' && one.optional !== true;
      return found.version !== one.version || found.integrity !== one.integrity;
    };
    return !Object.entries(asked).some(differs);
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Whose lock it is; null where its owner is gone (killed in the middle of an installation). */
function lockOwner() {
  let ageMs;
  try {
    ageMs = Date.now() - statSync(lock).mtimeMs;
    const owner = JSON.parse(readFileSync(join(lock, 'owner.json'), 'utf8'));
    const here = owner.host === hostname();
    if (here ? isAlive(owner.pid) : ageMs < orphanedAfterMs) return owner;
    return null;
  } catch {
    return ageMs === undefined || ageMs < 10_000 ? { pid: 'unknown' } : null;
  }
}

function takeLock() {
  mkdirSync(dirname(lock), { recursive: true });
  try {
    mkdirSync(lock);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
  writeFileSync(join(lock, 'owner.json'), JSON.stringify({ pid: process.pid, host: hostname() }));
  return true;
}

/** Of several that find an orphaned lock one alone can rename it, so none takes a fresh one. */
function removeOrphan() {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
    rmSync(aside, { recursive: true, force: true });
  } catch {
    // another process was faster
  }
}

async function waitForLock() {
  for (let told = false; !takeLock(); ) {
    const owner = lockOwner();
    if (owner === null) {
      removeOrphan();
      continue;
    }
    if (!told) say(`another installation is running (process ${owner.pid}); waiting for it.`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Runs a command, hands signals on to it, answers its exit code or signal. */
function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, options);
    // A terminal gives Ctrl-C to the whole group, so it is handed on only where there is none.
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    const end = (result) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, forward);
      resolve(result);
    };
    child.on('error', (error) => end({ code: 127, error }));
    child.on('exit', (code, signal) => end({ code, signal }));
  });
}

async function install() {
  say('installing the packages of package-lock.json (npm ci); once, this takes a minute or two.');
  const npmArgs = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const npmFile = process.env.npm_execpath;
  const viaNode = npmFile !== undefined && /npm-cli\.c?js$/.test(npmFile);
  // What npm says goes to stderr: stdout belongs to the command that follows.
  const options = { cwd: root, stdio: ['ignore', 2, 2], shell: !viaNode };
  const started = Date.now();
  const { code, signal, error } = viaNode
    ? await run(process.execPath, [npmFile, ...npmArgs], { ...options, shell: false })
    : await run('npm', npmArgs, options);
  if (code === 0) {
    say(`installed in ${Math.round((Date.now() - started) / 1000)} s.`);
    return;
  }
  rmSync(present, { force: true }); // so that the next start tries again
  say(`npm ci failed (${error?.message ?? signal ?? `exit code ${code}`}); nothing was started.`);
  say('Its own messages are above. Most often the package registry cannot be reached:');
  say('check network and proxy (npm ping), then run the same command again.');
  process.exitCode = 1;
}

async function installOnce() {
  await waitForLock();
  try {
    if (!isInstalled()) await install();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

async function main() {
  refuseOldNode();
  if (!isInstalled()) await installOnce();
  const [dashes, command, ...args] = process.argv.slice(2);
  if (process.exitCode === 1 || dashes === undefined) return;
  if (dashes !== '--' || command === undefined) {
    say('usage: node infra/node/install.mjs [-- COMMAND ...]');
    process.exit(2);
  }
  const program = command === 'node' ? process.execPath : command;
  const { code, signal, error } = await run(program, args, { stdio: 'inherit' });
  if (error !== undefined) say(`cannot start ${command}: ${error.message}`);
  if (signal) process.kill(process.pid, signal);
  process.exitCode = code ?? 1;
}

await main();
