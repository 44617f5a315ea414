// Child processes on this machine. Each launch has a folder named by its key; making that folder is
// the act that can happen once. The trainer runs under run.mjs, which outlives the service
// and writes how it ended, so a restarted service adopts what it finds.

import { spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { requireGpus } from '../gpus.ts';
import type {
  Handle,
  Launcher,
  LauncherOptions,
  LaunchRequest,
  LaunchSpec,
  Observation,
} from '../launcher.ts';
import { targetProblem } from '../target-fields.ts';
import { adapterFindings, type CommandOf, localCommands } from './commands.ts';
import { inherited } from './environment.ts';
import {
  abandon,
  folderSweep,
  isGivenUp,
  isLaunched,
  type Launch,
  markServed,
  outputTail,
  type Process,
  readEnd,
  readJson,
  readLaunch,
  writeWhole,
} from './folders.ts';
import { isAlive } from './processes.ts';

const root = resolve(import.meta.dirname, '../../..');
const runner = join(import.meta.dirname, 'run.mjs');

export function createLocalLauncher(
  target: LaunchTarget,
  { stateDir }: Pick<LauncherOptions, 'stateDir'>,
): Launcher {
  const commandOf = localCommands(target);
  const launchOf = (launchKey: string) => readLaunch(join(stateDir, launchKey));
  const sweep = folderSweep(stateDir);
  return {
    engine: 'local',
    pollSeconds: 1,
    prepare: (spec) => prepare(commandOf, stateDir, spec),
    check: async () => checkLocal(target, commandOf),
    submit: async (request, token) => {
      const folder = join(stateDir, request.launchKey);
      makeOutput(target, request); // first: a claimed key is never started again
      claim(folder, request.launchKey);
      start(request, { folder, token });
      return { launchKey: request.launchKey };
    },
    find: async (launchKey) => (isLaunched(join(stateDir, launchKey)) ? { launchKey } : null),
    poll: async (handles) =>
      new Map(handles.map(({ launchKey }) => [launchKey, observe(launchOf(launchKey))])),
    cancel: async ({ launchKey }: Handle, graceSeconds) =>
      cancel(launchOf(launchKey), graceSeconds),
    cleanup: async ({ launchKey }) => {
      markServed(join(stateDir, launchKey));
      sweep();
    },
  };
}

function prepare(commandOf: CommandOf, stateDir: string, spec: LaunchSpec): LaunchRequest {
  requireGpus(spec);
  const { target, jobId } = spec;
  const outputs = resolve(target.outputPath ?? join(stateDir, 'outputs'));
  return {
    launchKey: spec.launchKey,
    command: commandOf(spec.trainer),
    environment: {
      ...target.environment,
      CW_API: spec.api,
      CW_JOB: jobId,
      CW_DATA: resolve(spec.dataPath),
      CW_OUT: join(outputs, jobId),
    },
  };
}

function makeOutput(target: LaunchTarget, request: LaunchRequest): void {
  const { CW_OUT } = request.environment as Record<string, string>;
  try {
    mkdirSync(CW_OUT, { recursive: true });
  } catch (cause) {
    const why = (cause as Error).message;
    throw targetProblem(target, 'outputPath', `the folder ${CW_OUT} cannot be made: ${why}`);
  }
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
  const log = openSync(join(folder, 'output.log'), 'a');
  try {
    const child = spawn(process.execPath, [runner, root, ...(request.command as string[])], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...inherited(process.env), ...environment, CW_TOKEN: token },
    });
    child.on('error', ({ message }) => {
      writeWhole(join(folder, 'ended.json'), { code: null, signal: null, error: message });
    });
    child.unref();
  } finally {
    closeSync(log);
  }
}

function observe(launch: Launch | null): Observation {
  if (launch === null) return { state: 'notFound' };
  const word = wordOn(launch);
  const over = word.state === 'exited' || word.state === 'failed';
  return over ? { ...word, output: outputTail(launch.folder) } : word;
}

function wordOn({ folder, runner: waiter, trainer: child, ended }: Launch): Observation {
  if (ended?.error !== undefined) {
    return { state: 'failed', reason: 'infrastructure', detail: neverStarted(ended.error) };
  }
  if (ended !== null) return { state: 'exited', exit: { code: ended.code, signal: ended.signal } };
  if (waiter !== null && isAlive(waiter)) return { state: 'running' };
  if (child !== null && isAlive(child)) {
    return { state: 'running', detail: 'its runner is gone, so its exit code will not be known' };
  }
  if (waiter === null && !isGivenUp(folder)) return { state: 'starting' };
  // It may have ended between the two looks.
  const late = readEnd(folder);
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

async function checkLocal(target: LaunchTarget, commandOf: CommandOf): Promise<Finding[]> {
  const findings = adapterFindings(commandOf);
  for (const [dataset, path] of Object.entries(target.dataPaths)) {
    const ok = existsSync(resolve(path));
    const detail = ok
      ? `images of "${dataset}" are there`
      : `images of "${dataset}": no folder ${path}`;
    findings.push({ severity: ok ? 'ok' : 'error', detail });
  }
  if (target.outputPath !== undefined) findings.push(outputFinding(target.outputPath));
  if (Object.keys(target.dataPaths).length === 0) {
    findings.push({
      severity: 'warning',
      detail: 'dataPaths names no dataset, so no job can be launched here',
    });
  }
  return findings;
}

// Where it is not there yet, a launch makes it in the nearest folder that is.
function outputFinding(outputPath: string): Finding {
  let place = resolve(outputPath);
  while (!existsSync(place)) place = dirname(place);
  try {
    if (!statSync(place).isDirectory()) throw new Error(`${place} is no folder`);
    accessSync(place, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const detail = `outputPath ${outputPath} cannot be written: ${(cause as Error).message}`;
    return { severity: 'error', detail };
  }
  return { severity: 'ok', detail: `outputPath ${outputPath} can be written` };
}
