// Whether a process is the one that was started: a pid alone may have been given to another since.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return ''; // some containers hide it
  }
}

/** When a process started, in whatever unit its system tells; null where it is gone. */
export function processStart(pid: number): string | null {
  try {
    // The 22nd field, counted after the name, which may hold spaces: ticks since the machine
    // started, so it says nothing without which start that was.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : `${bootId()} ${fields[19]}`;
  } catch {
    if (process.platform === 'linux') return null;
  }
  const told = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return told.status === 0 ? told.stdout.trim() || null : null;
}

/** Whether a process lives; one whose start was never known is taken for gone, and never killed. */
export function isAlive({ pid, started }: { pid: number; started: string | null }): boolean {
  return started !== null && processStart(pid) === started;
}
