// The service as a child process of the demo, on a free port of the loopback address, with data of
// its own. The demo talks to it over HTTP only, as any lab tool would. Ctrl-C must not reach it
// before the demo has cancelled its jobs, so it stands in a process group of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { failure } from '../client.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type DemoService = {
  url: string;
  token: string;
  dataDir: string;
  pid: number;
  /** Ends the service; SIGTERM lets it close its database, SIGKILL is a crash. */
  stop: (signal?: 'SIGTERM' | 'SIGKILL') => Promise<void>;
};

/** Starts the service; resolves when it listens, throws with its last words where it does not. */
export async function startService(options: {
  dataDir: string;
  port: number;
  targets: unknown[];
  say: (line: string) => void;
  /** Postgres instead of embedded PGlite: as the service's role, and as the owner of the tables. */
  database?: { service: string; owner: string };
  nodeOptions?: string;
  /** More variables of its environment. */
  environment?: Record<string, string>;
  /** The admin's token; without it one is made. */
  token?: string;
}): Promise<DemoService> {
  const { token = `cw_demo_${randomBytes(18).toString('hex')}` } = options;
  const child = spawn(process.execPath, ['--import', 'tsx', 'api/node.ts'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PORT: String(options.port),
      CW_DATA_DIR: options.dataDir,
      CW_ADMIN_TOKEN: token,
      CW_TARGETS: JSON.stringify(options.targets),
      ...options.environment,
      ...(options.nodeOptions === undefined ? {} : { NODE_OPTIONS: options.nodeOptions }),
      DATABASE_URL: options.database?.service ?? '',
      DATABASE_OWNER_URL: options.database?.owner ?? '',
    },
  });
  const errors: string[] = [];
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    errors.push(line);
    if (/"level":"(error|warn)"/.test(line)) options.say(line);
  });
  const url = await listening(child, errors);
  return {
    url,
    token,
    dataDir: options.dataDir,
    pid: child.pid as number,
    stop: (signal = 'SIGTERM') => stopped(child, signal),
  };
}

async function listening(child: ChildProcess, errors: string[]): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  return await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const url = /^listening on (\S+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.on('exit', (code) => {
      reject(failure(`the service ended with code ${code}: ${errors.slice(-3).join('\n')}`));
    });
  });
}

async function stopped(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}
