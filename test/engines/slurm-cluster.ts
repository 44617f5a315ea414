// A real Slurm of one node on the loopback address, from Debian's packages extracted into a
// folder: nothing is installed, files and sockets are in one folder, several run side by side.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { until } from './waiting.ts';

export type SlurmCluster = {
  /** Of slurmrestd, which serves v0.0.38. */
  address: string;
  /** A token good for so many seconds; negative: expired. */
  token: (lifespanSeconds: number, user?: string) => string;
  /** What finds srun and the cluster, for the environment of jobs that use them. */
  environment: Record<string, string>;
  scontrol: (...args: string[]) => string;
  stopController: () => Promise<void>;
  startController: () => Promise<void>;
  restartController: () => Promise<void>;
  stop: () => Promise<void>;
};

export type ClusterOptions = {
  /** Where the packages were extracted: below it usr/sbin and usr/lib. Everybody can enter it. */
  root: string;
  /** For everything that the cluster writes; made, or empty. Everybody can enter it. */
  folder: string;
  ports: { controller: number; node: number; rest: number };
  /** Seconds from SIGTERM to SIGKILL. */
  killWait?: number;
  /** Further lines of slurm.conf. */
  settings?: string[];
};

/** What Debian 12 calls the packages, those aside that a Debian always has. */
export const slurmPackages = [
  'slurmctld',
  'slurmd',
  'slurm-client',
  'slurmrestd',
  'slurm-wlm-basic-plugins',
  'slurm-wlm-jwt-plugin',
  'munge',
  'libmunge2',
  'libhttp-parser2.9',
  'libjwt0',
  'libb64-0d',
  'libhwloc15',
  'liblua5.1-0',
] as const;

const gpuFiles = ['/dev/null', '/dev/zero'];
const libraries = 'usr/lib/x86_64-linux-gnu';

type Place = Required<ClusterOptions> & { host: string; env: Record<string, string> };

/** Why no cluster can be started here; null where one can. */
export function slurmHindrance(root: string): string | null {
  if (process.platform !== 'linux') return 'Slurm runs on Linux only';
  if (process.getuid?.() !== 0) return 'Slurm needs root: its daemons start jobs of other users';
  const missing = ['slurmctld-wlm', 'slurmd-wlm', 'slurmstepd-wlm', 'slurmrestd', 'munged'].find(
    (name) => !existsSync(join(root, 'usr/sbin', name)),
  );
  return missing === undefined ? null : `${missing} is not in ${join(root, 'usr/sbin')}`;
}

/** Starts a cluster with two CPUs and two GPUs of type h200, which are none. About a second. */
export async function startSlurmCluster(options: ClusterOptions): Promise<SlurmCluster> {
  const hindrance = slurmHindrance(options.root);
  if (hindrance !== null) throw new Error(hindrance);
  const place = prepared(options);
  const { folder, ports } = place;
  const sbin = (name: string) => join(folder, 'sbin', name);
  const own = (name: string) => join(folder, name);
  const munge = [
    '--foreground',
    '--force',
    `--socket=${own('munge/sock')}`,
    `--key-file=${own('munge.key')}`,
    `--pid-file=${own('munge/munged.pid')}`,
    `--log-file=${own('log/munged.log')}`,
    `--seed-file=${own('munge/seed')}`,
  ];
  const daemons = [daemon(place, 'munged', [sbin('munged'), ...munge])];
  await ready('munged listens', () => existsSync(own('munge/sock')));
  let controller = daemon(place, 'slurmctld', [sbin('slurmctld'), '-D', '-c']);
  daemons.push(daemon(place, 'slurmd', [sbin('slurmd'), '-D', '-c', '-d', sbin('slurmstepd')]));
  const rest = [sbin('slurmrestd'), '-a', 'rest_auth/jwt', '-s', 'openapi/v0.0.38'];
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  daemons.push(daemon(place, 'slurmrestd', [...rest, `127.0.0.1:${ports.rest}`], asNobody));
  const address = `http://127.0.0.1:${ports.rest}`;
  const token = (seconds: number, user = 'root') => signedToken(place, seconds, user);
  const stopController = async () => ended(controller);
  const startController = async () => {
    controller = daemon(place, 'slurmctld', [sbin('slurmctld'), '-D']);
    await ready('slurmctld answers', () => answers(address, token(60)));
  };
  const stop = async () => {
    for (const one of [controller, ...daemons.reverse()]) await ended(one);
    endWhatIsLeft(place);
  };
  try {
    await ready('Slurm is ready', () => answers(address, token(60)));
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    address,
    token,
    environment: { ...place.env, PATH: `${join(place.root, 'usr/bin')}:${process.env.PATH}` },
    scontrol: (...args) =>
      execFileSync(join(place.root, 'usr/bin/scontrol'), args, { env: place.env }).toString(),
    stopController,
    startController,
    restartController: async () => {
      await stopController();
      await startController();
    },
    stop,
  };
}

function prepared(options: ClusterOptions): Place {
  const { root, folder } = options;
  const lib = join(root, libraries);
  const env = {
    SLURM_CONF: join(folder, 'slurm.conf'),
    LD_LIBRARY_PATH: `${lib}:${join(lib, 'slurm-wlm')}`,
  };
  const host = hostname().split('.')[0];
  const place: Place = { killWait: 3, settings: [], ...options, host, env };
  for (const name of ['', 'munge', 'log', 'state', 'spool', 'sbin']) {
    mkdirSync(join(folder, name), { recursive: true, mode: 0o711 });
    chmodSync(join(folder, name), 0o711);
  }
  // They tell by their own name what they are, and Debian's names end in -wlm.
  for (const name of ['munged', 'slurmctld', 'slurmd', 'slurmstepd', 'slurmrestd']) {
    const file = join(root, 'usr/sbin', name);
    symlinkSync(existsSync(file) ? file : `${file}-wlm`, join(folder, 'sbin', name));
  }
  writeFileSync(join(folder, 'munge.key'), randomBytes(128), { mode: 0o400 });
  writeFileSync(join(folder, 'jwt.key'), randomBytes(32), { mode: 0o600 });
  writeFileSync(join(folder, 'slurm.conf'), `${configuration(place).join('\n')}\n`);
  const files = gpuFiles.join(',');
  const gres = `NodeName=${host} Name=gpu Type=h200 Count=${gpuFiles.length} File=${files}\n`;
  writeFileSync(join(folder, 'gres.conf'), gres);
  return place;
}

// Without CommunicationParameters the daemons listen on every address of the machine.
function configuration({ root, folder, ports, killWait, settings, host }: Place): string[] {
  return [
    'ClusterName=test',
    `SlurmctldHost=${host}(127.0.0.1)`,
    'CommunicationParameters=NoCtldInAddrAny,NoInAddrAny',
    `SlurmctldPort=${ports.controller}`,
    `SlurmdPort=${ports.node}`,
    'SlurmUser=root',
    'SlurmdUser=root',
    'AuthType=auth/munge',
    'CredType=cred/munge',
    `AuthInfo=socket=${folder}/munge/sock`,
    'AuthAltTypes=auth/jwt',
    `AuthAltParameters=jwt_key=${folder}/jwt.key`,
    `PluginDir=${root}/${libraries}/slurm-wlm`,
    `StateSaveLocation=${folder}/state`,
    `SlurmdSpoolDir=${folder}/spool`,
    `SlurmctldPidFile=${folder}/slurmctld.pid`,
    `SlurmdPidFile=${folder}/slurmd.pid`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'JobAcctGatherType=jobacct_gather/linux',
    'AccountingStorageType=accounting_storage/none',
    'MpiDefault=none',
    'SwitchType=switch/none',
    'SchedulerType=sched/backfill',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core',
    'ReturnToService=2',
    'MinJobAge=300',
    `KillWait=${killWait}`,
    'SlurmctldTimeout=30',
    'SlurmdTimeout=30',
    'SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1',
    'GresTypes=gpu',
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 Gres=gpu:h200:2 State=UNKNOWN`,
    `PartitionName=gpu Nodes=${host} Default=YES MaxTime=INFINITE State=UP`,
    ...settings,
  ];
}

// A daemon ends with this process, however this one ends.
function daemon(
  { folder, env }: Place,
  name: string,
  command: string[],
  rights: string[] = [],
): ChildProcess {
  const log = openSync(join(folder, 'log', `${name}.log`), 'a');
  const all = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', SLURM_JWT: 'daemon', ...env };
  const { SLURM_JWT, ...others } = all;
  return spawn('setpriv', ['--pdeathsig', 'TERM', ...rights, ...command], {
    env: name === 'slurmrestd' ? { SLURM_JWT, ...others } : others,
    stdio: ['ignore', log, log],
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(late);
}

// Jobs outlive slurmd. Their processes, and nobody else's, have this cluster in their environment.
function endWhatIsLeft({ env }: Place): void {
  const mark = `\0SLURM_CONF=${env.SLURM_CONF}\0`;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const theirs = readFileSync(join('/proc', pid, 'environ'), 'latin1');
      if (Number(pid) !== process.pid && `\0${theirs}`.includes(mark)) {
        process.kill(Number(pid), 'SIGKILL');
      }
    } catch {
      // It ended by itself.
    }
  }
}

const encoded = (part: object | Buffer) =>
  (Buffer.isBuffer(part) ? part : Buffer.from(JSON.stringify(part))).toString('base64url');

function signedToken({ folder }: Place, seconds: number, user: string): string {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iat: Math.min(iat, iat + seconds), exp: iat + seconds, sun: user };
  const said = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`;
  const key = readFileSync(join(folder, 'jwt.key'));
  return `${said}.${encoded(createHmac('sha256', key).update(said).digest())}`;
}

async function answers(address: string, token: string): Promise<boolean> {
  const headers = { 'x-slurm-user-name': 'root', 'x-slurm-user-token': token };
  try {
    const response = await fetch(`${address}/slurm/v0.0.38/nodes`, { headers });
    const { nodes = [] } = (await response.json()) as { nodes?: { state: string }[] };
    return response.ok && nodes.some(({ state }) => /^(idle|mixed|allocated)/.test(state));
  } catch {
    return false;
  }
}

const ready = async (what: string, met: () => boolean | Promise<boolean>) =>
  await until(met, { seconds: 30, late: () => what });
