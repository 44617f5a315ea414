// A Postgres of the system, with its pg_dump and pg_restore: the one that npm installs has neither,
// and those of another version refuse it.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './free-port.ts';

export type SystemPostgres = {
  /** Address of a database as a role; nobody needs a password. */
  url: (role: string, database: string) => string;
  /** Runs one of its programs; throws with what it said where it fails. */
  program: (name: string, ...args: string[]) => string;
  stop: () => Promise<void>;
};

const needed = ['initdb', 'postgres', 'pg_dump', 'pg_restore', 'psql'];

/** Where the programs of the newest version are; null where there are none, said aloud. */
export function systemPostgresFolder(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).toSorted().toReversed() : [];
  const folders = versions.map((version) => join(debian, version, 'bin'));
  const whole = folders.find((folder) => needed.every((name) => existsSync(join(folder, name))));
  if (whole !== undefined) return whole;
  console.warn('!! SKIPPED: backup and restore. They need pg_dump: apt-get install postgresql');
  return null;
}

// As root it has to run as somebody else: its own user, or nobody.
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const idOf = (flag: string) => {
    const { status, stdout } = spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : 65534;
  };
  return { uid: idOf('-u'), gid: idOf('-g') };
}

export async function startSystemPostgres(bin: string): Promise<SystemPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'counterweight-system-postgres-'));
  const as = owner();
  if (as.uid !== undefined && as.gid !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const initial = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--locale=C'];
  execFileSync(join(bin, 'initdb'), [...initial, '--encoding=UTF8'], { ...as, cwd: folder });
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'];
  const flags = settings.flatMap((setting) => ['-c', setting]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-p', `${port}`, ...flags], {
    ...as,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((resolve) => server.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: server.stderr }).on('line', (line) => {
      if (line.includes('ready to accept connections')) resolve();
    });
    void ended.then((code) => reject(new Error(`Postgres ended with ${code}`)));
  });
  return {
    url: (role, database) => `postgres://${role}@127.0.0.1:${port}/${database}`,
    program: (name, ...args) => {
      const done = spawnSync(join(bin, name), args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
      if (done.status === 0) return done.stdout;
      throw new Error(`${name} ended with ${done.status}: ${done.stderr}`);
    },
    stop: async () => {
      server.kill('SIGINT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
