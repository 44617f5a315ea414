// podman as the engine of these tests: its API on a socket where one is asked for, its containers
// and images in a folder. Inside the namespaces of infra/node/engines.sh only.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './waiting.ts';

const run = promisify(execFile);

export type PodmanApi = {
  socket: string;
  /** Starts it; resolves when it listens. */
  start: () => Promise<void>;
  /** Kills it. Containers go on: none of them is its child. */
  stop: () => Promise<void>;
};

export type Podman = {
  /** For other programs that call podman. */
  environment: Record<string, string>;
  /** The command line. */
  run: (...args: string[]) => Promise<string>;
  /** The API of Docker on a socket. */
  serve: (socket: string) => Promise<PodmanApi>;
};

// Debian's defaults ask for more open files than a small machine may give, and for systemd.
const containers = `
[containers]
default_ulimits=["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
`;

/** The engine whose files are in a folder; several processes may open one. */
export function openPodman(folder: string): Podman {
  mkdirSync(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const environment = {
    CONTAINERS_CONF: at('containers.conf'),
    CONTAINERS_STORAGE_CONF: at('storage.conf'),
  };
  if (!existsSync(at('storage.conf'))) {
    writeFileSync(at('containers.conf'), `${containers}tmp_dir="${at('tmp')}"\n`);
    const storage = `driver="overlay"\ngraphroot="${at('graph')}"\nrunroot="${at('run')}"\n`;
    writeFileSync(at('storage.conf'), `[storage]\n${storage}`);
  }
  const env = { ...process.env, ...environment };
  return {
    environment,
    run: async (...args) => (await run('podman', args, { env, maxBuffer: 2 ** 26 })).stdout.trim(),
    serve: async (socket) => await served(socket, env),
  };
}

async function served(socket: string, env: NodeJS.ProcessEnv): Promise<PodmanApi> {
  let service: ChildProcess | null = null;
  const api: PodmanApi = {
    socket,
    start: async () => {
      const args = ['system', 'service', '--time=0', `unix://${socket}`];
      // conmon leaves an empty file `oom` where it stands.
      service = spawn('podman', args, { env, cwd: dirname(socket), stdio: 'ignore' });
      await until(() => existsSync(socket), { seconds: 30, late: () => 'podman listens' });
    },
    stop: async () => {
      if (service === null || service.exitCode !== null || service.signalCode !== null) return;
      const ended = new Promise((resolve) => service?.once('exit', resolve));
      service.kill('SIGKILL');
      await ended;
      rmSync(socket, { force: true });
    },
  };
  await api.start();
  return api;
}
