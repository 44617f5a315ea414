// Runs one trainer and writes how it ended. Plain JavaScript without imports of ours: it must start
// at once and outlive the service. It writes into the folder that it stands in and never names it,
// so that it stays there where that is put aside. Usage: node run.mjs CWD COMMAND [ARG ...]

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const [cwd, command, ...args] = process.argv.slice(2);

function writeWhole(name, value) {
  writeFileSync(`${name}.partial`, JSON.stringify(value));
  renameSync(`${name}.partial`, name);
}

function bootId() {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

// As in processes.ts, which compares with what is written here.
function processStart(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${bootId()} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    if (process.platform === 'linux') return null;
  }
  const told = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return told.status === 0 ? told.stdout.trim() || null : null;
}

const identity = (pid) => ({ pid, started: processStart(pid) });

let child;
let killAt = Infinity;
let killTimer;

// The trainer leads its own group, so what it started is reached too.
function signalGroup(name) {
  try {
    process.kill(-child.pid, name);
  } catch {
    // No process of the group is left.
  }
}

function end(how) {
  if (child?.pid !== undefined) signalGroup('SIGKILL');
  writeWhole('ended.json', how);
  process.exit(0);
}

function graceSeconds() {
  try {
    return JSON.parse(readFileSync('cancel.json', 'utf8')).graceSeconds;
  } catch {
    return 30;
  }
}

// Being told again never lengthens the grace, but may shorten it.
function stop() {
  if (child === undefined) return;
  if (killAt === Infinity) signalGroup('SIGTERM');
  const deadline = Date.now() + graceSeconds() * 1000;
  if (deadline >= killAt) return;
  killAt = deadline;
  clearTimeout(killTimer);
  killTimer = setTimeout(() => signalGroup('SIGKILL'), deadline - Date.now());
}

process.on('SIGTERM', stop);
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});

try {
  // Fails where the launch was given up; written before cancel.json is looked for, which a
  // cancellation writes before it looks for this.
  writeFileSync('runner.json', JSON.stringify(identity(process.pid)), { flag: 'wx' });
} catch {
  process.exit(1);
}
if (existsSync('cancel.json')) end({ code: null, signal: 'SIGTERM' });
child = spawn(command, args, { cwd, stdio: 'inherit', detached: true });
child.on('error', ({ message }) => end({ code: null, signal: null, error: message }));
child.on('exit', (code, signal) => end({ code, signal }));
if (child.pid !== undefined) {
  writeWhole('trainer.json', identity(child.pid));
  writeFileSync('trainer.pid', String(child.pid));
}
