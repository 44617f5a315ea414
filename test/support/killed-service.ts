// The service as a process that is killed and started again on the same port with the same data.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { steadyPort } from './free-port.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type KilledService = {
  url: string;
  token: string;
  dataDir: string;
  /** Warnings and errors of all its lives. */
  said: string[];
  /** Starts it anew; answers at once, `listening` waits. */
  start: () => void;
  /** Rejects with its last words where it ends by itself before it listens. */
  listening: () => Promise<void>;
  /** Waits until it listens, as whoever supervises it: where it ended by itself it starts again. */
  standing: () => Promise<void>;
  /** Of the process that runs now. */
  pid: () => number;
  /** Kills it, wherever it is. */
  kill: () => Promise<void>;
  /** Ends it and removes its data. */
  stop: () => Promise<void>;
};

/** A service that is not started yet; `targets` are given its data folder. */
export async function killedService({
  targets,
  database,
}: {
  targets: (dataDir: string) => unknown[];
  database?: { service: string; owner: string };
}): Promise<KilledService> {
  const dataDir = mkdtempSync(join(tmpdir(), 'counterweight-killed-'));
  const port = await steadyPort();
  const token = 'cw_admin_of_a_service_that_is_killed';
  const said: string[] = [];
  let child: ChildProcess;
  let heard: Promise<void>;
  const start = () => {
    child = spawn(process.execPath, ['--import', 'tsx', 'api/node.ts'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PORT: String(port),
        CW_DATA_DIR: dataDir,
        CW_ADMIN_TOKEN: token,
        CW_TARGETS: JSON.stringify(targets(dataDir)),
        DATABASE_URL: database?.service ?? '',
        DATABASE_OWNER_URL: database?.owner ?? '',
      },
    });
    heard = firstWord(child, said);
    heard.catch(() => {});
  };
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child === undefined || !hasNotEnded(child)) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    dataDir,
    said,
    start,
    listening: () => heard,
    standing: async () => {
      while (
        !(await heard.then(
          () => hasNotEnded(child),
          () => false,
        ))
      )
        start();
    },
    pid: () => child.pid as number,
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const hasNotEnded = ({ exitCode, signalCode }: ChildProcess) =>
  exitCode === null && signalCode === null;

async function firstWord(child: ChildProcess, said: string[]): Promise<void> {
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    if (!/"level":"info"/.test(line)) said.push(line);
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (line.startsWith('listening on ')) resolve();
    });
    child.on('exit', (code) => {
      reject(new Error(`the service ended with code ${code}: ${said.slice(-3).join('\n')}`));
    });
  });
}
