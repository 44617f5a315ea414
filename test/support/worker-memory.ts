// How much memory workerd uses for the service: of its process, and what its isolate still holds
// after a garbage collection, asked as a debugger asks.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { WebSocket } from 'ws';

const mebibyte = 2 ** 20;

/** The process of workerd that this process has started. */
export function workerdProcess(): number {
  const mine = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), stat: statOf(name) }))
    .filter(({ stat }) => stat?.startsWith('workerd ') && stat.split(' ')[2] === `${process.pid}`);
  if (mine.length !== 1) throw new Error(`${mine.length} processes of workerd are mine, not one`);
  return mine[0].pid;
}

// "NAME STATE PARENT ...", as the name may hold anything but is put in brackets.
function statOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^\d+ \((.*?)\) /, '$1 ');
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** Resident memory of a process in MiB: now, and at most since `from` was forgotten. */
export function residentMiB(pid: number): { now: number; most: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
  return { now: of('VmRSS'), most: of('VmHWM') };
}

/** From now on `most` is of what comes. */
export function forgetMost(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

export type Debugger = {
  /** What the isolate holds after a garbage collection, in MiB: objects and buffers. */
  liveMiB: () => Promise<number>;
  close: () => void;
};

/**
 * Attaches to the service's isolate, by the address of Miniflare's inspector. `stir` gives it
 * something to do.
 */
export async function attach(inspector: URL, stir: () => Promise<unknown>): Promise<Debugger> {
  const targets = (await (await fetch(`http://${inspector.host}/json`)).json()) as {
    id: string;
    webSocketDebuggerUrl: string;
  }[];
  const own = targets.find(({ id }) => id.startsWith('core:user:'));
  if (own === undefined) throw new Error('workerd has no isolate of the service');
  const socket = new WebSocket(own.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  const waiting = new Map<number, (result: unknown) => void>();
  socket.on('message', (data) => {
    const { id, result } = JSON.parse(String(data));
    waiting.get(id)?.(result);
  });
  let last = 0;
  const send = (method: string) => {
    last += 1;
    socket.send(JSON.stringify({ id: last, method }));
    return last;
  };
  const ask = async (method: string) =>
    await new Promise<any>((resolve) => waiting.set(send(method), resolve));
  await ask('HeapProfiler.enable');
  return {
    liveMiB: async () => {
      let collected = false;
      const done = ask('HeapProfiler.collectGarbage').then(() => {
        collected = true;
      });
      // Garbage is collected when the isolate next has something to do.
      while (!collected) await stir();
      await done;
      const usage = await ask('Runtime.getHeapUsage');
      return (usage.usedSize + (usage.backingStorageSize ?? 0)) / mebibyte;
    },
    close: () => socket.close(),
  };
}
