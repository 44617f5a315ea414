// Child processes on this machine. Each launch has a folder named by its key; making that folder is
// the act that can happen once. The trainer runs under local-run.mjs, which outlives the service
// and writes how it ended, so a restarted service adopts what it finds.

import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Finding, LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';
import type { Handle, Launcher, LaunchRequest, LaunchSpec, Observation } from './launcher.ts';
import { adapterFindings, localCommands } from './local-commands.ts';
import { isAlive } from './local-processes.ts';
import type { LauncherOptions } from './registry.ts';

const root = resolve(import.meta.dirname, '../..');
const runner = join(import.meta.dirname, 'local-run.mjs');

type Process = { pid: number; started: string | null };
type Ended = { code: number | null; signal: string | null; error?: string };
type Launch = {
  folder: string;
  /** The process that waits for the trainer; null until it has started. */
  runner: Process | null;
  trainer: Process | null;
  ended: Ended | null;
};

/** How long a claimed launch may take until its runner stands; after it, it never will. */
const startWithinMs = 60_000;

function readJson<Value>(path: string): Value | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Value;
  } catch {
    return null;
  }
}

function readLaunch(folder: string): Launch | null {
  if (!existsSync(folder)) return null;
  return {
    folder,
    runner: readJson(join(folder, 'runner.json')),
    trainer: readJson(join(folder, 'trainer.json')),
    ended: readJson(join(folder, 'ended.json')),
  };
}

export function createLocalLauncher(target: LaunchTarget, { stateDir }: LauncherOptions): Launcher {
  const launchOf = (launchKey: string) => readLaunch(join(stateDir, launchKey));
  return {
    engine: 'local',
    prepare: (spec) => prepare(target, stateDir, spec),
    check: async () => checkLocal(target),
    submit: async (request, token) => {
      const folder = join(stateDir, request.launchKey);
      claim(folder, request.launchKey);
      start(request, { folder, token });
      return { launchKey: request.launchKey };
    },
    find: async (launchKey) => (launchOf(launchKey) === null ? null : { launchKey }),
    poll: async (handles) =>
      new Map(handles.map(({ launchKey }) => [launchKey, observe(launchOf(launchKey))])),
    cancel: async ({ launchKey }: Handle, graceSeconds) =>
      cancel(launchOf(launchKey), graceSeconds),
    cleanup: async () => {},
  };
}

function prepare(target: LaunchTarget, stateDir: string, spec: LaunchSpec): LaunchRequest {
  if (spec.resources.gpus.count > 0 && target.gpuTypes.length === 0) {
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" has no GPU; ask for gpus.count 0.`,
      {
        errors: [{ pointer: '/resources/gpus/count', detail: 'the target lists no gpuTypes' }],
      },
    );
  }
  const { type } = spec.resources.gpus;
  if (type !== undefined && !target.gpuTypes.includes(type)) {
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" has no GPU of type "${type}"; it has: ${target.gpuTypes.join(', ') || 'none'}.`,
      { errors: [{ pointer: '/resources/gpus/type', detail: 'not in gpuTypes of the target' }] },
    );
  }
  const { commandOf, environment } = localCommands(target);
  const outputs = resolve(target.outputPath ?? join(stateDir, 'outputs'));
  const output = join(outputs, spec.environment.CW_JOB);
  return {
    launchKey: spec.launchKey,
    command: commandOf(spec.trainer),
    environment: {
      ...environment,
      ...spec.environment,
      CW_DATA: resolve(spec.environment.CW_DATA),
      CW_OUT: output,
    },
  };
}

// mkdir is atomic: of two submits with one key, one fails here and starts nothing.
function claim(folder: string, launchKey: string): void {
  mkdirSync(join(folder, '..'), { recursive: true });
  try {
    mkdirSync(folder);
  } catch (cause) {
    throw new ProblemError(
      'conflict',
      `${launchKey} was launched before; it is not started twice.`,
      { cause },
    );
  }
}

function start(request: LaunchRequest, { folder, token }: { folder: string; token: string }): void {
  const environment = request.environment as Record<string, string>;
  mkdirSync(environment.CW_OUT, { recursive: true });
  const log = openSync(join(folder, 'output.log'), 'a');
  try {
    const child = spawn(process.execPath, [runner, folder, ...(request.command as string[])], {
      cwd: root,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...inherited(), ...environment, CW_TOKEN: token },
    });
    child.on('error', ({ message }) => {
      writeWhole(join(folder, 'ended.json'), { code: null, signal: null, error: message });
    });
    child.unref();
  } finally {
    closeSync(log);
  }
}

// The service's own secrets are not for trainers.
function inherited(): Record<string, string | undefined> {
  const own = new Set([
    'DATABASE_URL',
    'CW_ADMIN_TOKEN',
    'CW_TARGETS',
    'PORT',
    'CW_DATA_DIR',
    'CW_PUBLIC_URL',
  ]);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.has(name)));
}

function writeWhole(path: string, value: unknown): void {
  writeFileSync(`${path}.partial`, JSON.stringify(value));
  renameSync(`${path}.partial`, path);
}

function observe(launch: Launch | null): Observation {
  if (launch === null) return { state: 'notFound' };
  const { folder, runner: waiter, trainer: child, ended } = launch;
  if (ended?.error !== undefined) {
    return { state: 'failed', reason: 'infrastructure', detail: neverStarted(ended.error) };
  }
  if (ended !== null) return { state: 'exited', exit: { code: ended.code, signal: ended.signal } };
  if (waiter !== null && isAlive(waiter)) return { state: 'running' };
  if (child !== null && isAlive(child)) {
    return { state: 'running', detail: 'its runner is gone, so its exit code will not be known' };
  }
  const givenUp = isGivenUp(folder) || (waiter === null && isOverdue(folder) && abandon(folder));
  if (waiter === null && !givenUp) return { state: 'starting' };
  // It may have ended between the two looks.
  const late = readJson<Ended>(join(folder, 'ended.json'));
  if (late !== null) return { state: 'exited', exit: late };
  return {
    state: 'failed',
    reason: 'infrastructure',
    detail: waiter === null ? 'never started' : 'vanished together with its runner',
  };
}

function neverStarted(error: string): string {
  const hint = error.includes('ENOENT')
    ? '; "commands" of the target says what each trainer is started with, and trainer "nnunet" needs pip install trainer/nnunet'
    : '';
  return `did not start: ${error}${hint}`;
}

function isOverdue(folder: string): boolean {
  return Date.now() - statSync(folder).mtimeMs > startWithinMs;
}

function isGivenUp(folder: string): boolean {
  const path = join(folder, 'runner.json');
  return existsSync(path) && readFileSync(path, 'utf8') === 'null';
}

// The runner makes runner.json as its first act and stops where the file is there already: so a
// launch that was given up is never run late. False where the runner was first.
function abandon(folder: string): boolean {
  try {
    writeFileSync(join(folder, 'runner.json'), 'null', { flag: 'wx' });
    return true;
  } catch {
    return isGivenUp(folder);
  }
}

// The runner passes SIGTERM on to the trainer's process group, and SIGKILL once the grace is over.
// It reads the grace from the file, also where the signal came before it listened.
function cancel(
  launch: Launch | null,
  graceSeconds: number,
): Awaited<ReturnType<Launcher['cancel']>> {
  if (launch === null) return 'gone';
  if (launch.ended !== null) return 'alreadyDone';
  const path = join(launch.folder, 'cancel.json');
  const told = readJson<{ graceSeconds: number }>(path);
  if (told === null || told.graceSeconds > graceSeconds) writeWhole(path, { graceSeconds });
  const waiter = readJson<Process>(join(launch.folder, 'runner.json'));
  if (waiter === null) return abandon(launch.folder) ? 'alreadyDone' : 'accepted';
  if (isAlive(waiter)) return signal(waiter.pid, 'SIGTERM');
  if (launch.trainer === null || !isAlive(launch.trainer)) return 'alreadyDone';
  return signal(-launch.trainer.pid, 'SIGKILL'); // nobody is left to count its grace
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): 'accepted' | 'alreadyDone' {
  try {
    process.kill(pid, name);
    return 'accepted';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'alreadyDone';
    throw error;
  }
}

async function checkLocal(target: LaunchTarget): Promise<Finding[]> {
  const findings = adapterFindings(target);
  for (const [dataset, path] of Object.entries(target.dataPaths)) {
    const ok = existsSync(resolve(path));
    const detail = ok
      ? `images of "${dataset}" are there`
      : `images of "${dataset}": no folder ${path}`;
    findings.push({ severity: ok ? 'ok' : 'error', detail });
  }
  if (Object.keys(target.dataPaths).length === 0) {
    findings.push({
      severity: 'warning',
      detail: 'dataPaths names no dataset, so no job can be launched here',
    });
  }
  return findings;
}
