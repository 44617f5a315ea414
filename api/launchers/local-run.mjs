// Runs one trainer and writes how it ended. Plain JavaScript without imports of ours: it must start
// at once and outlive the service. Usage: node local-run.mjs FOLDER COMMAND [ARG ...]

import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: 'inherit' });

function end(code, signal) {
  const path = join(folder, 'ended.json');
  writeFileSync(`${path}.partial`, JSON.stringify({ code, signal }));
  renameSync(`${path}.partial`, path);
  process.exit(0);
}

function graceSeconds() {
  try {
    return JSON.parse(readFileSync(join(folder, 'cancel.json'), 'utf8')).graceSeconds;
  } catch {
    return 30;
  }
}

child.on('error', () => end(127, null));
child.on('exit', (code, signal) => end(code, signal));
writeFileSync(join(folder, 'trainer.pid'), String(child.pid));
process.on('SIGTERM', () => {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), graceSeconds() * 1000).unref();
});
process.on('SIGINT', () => {});
