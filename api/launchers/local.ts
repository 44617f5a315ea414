// Child processes on this machine. Each launch has a folder named by its key; making that folder is
// the act that can happen once. The child runs under local-run.mjs, which outlives the service and
// writes how it ended, so a restarted service adopts what it finds.

import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Finding, LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';
import type { Handle, Launcher, LaunchRequest, LaunchSpec, Observation } from './launcher.ts';
import { isAlive, processStart } from './local-processes.ts';
import type { LauncherOptions } from './registry.ts';

const root = resolve(import.meta.dirname, '../..');
const runner = join(import.meta.dirname, 'local-run.mjs');
const trainer = [process.execPath, '--import', 'tsx', join(root, 'trainer/main.ts')];

type Launched = { launchKey: string; pid: number; started: string | null };
type Ended = { code: number | null; signal: string | null };

function readJson<Value>(path: string): Value | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Value;
  } catch {
    return null;
  }
}

export function createLocalLauncher(target: LaunchTarget, { stateDir }: LauncherOptions): Launcher {
  const folderOf = (launchKey: string) => join(stateDir, launchKey);
  const launchedIn = (launchKey: string) =>
    readJson<Launched>(join(folderOf(launchKey), 'launched.json'));
  const endedIn = (launchKey: string) => readJson<Ended>(join(folderOf(launchKey), 'ended.json'));

  return {
    engine: 'local',
    prepare: (spec) => prepare(target, stateDir, spec),
    check: async () => checkLocal(target),
    submit: async (request, token) => {
      const folder = folderOf(request.launchKey);
      claim(folder, request.launchKey);
      const launched = start(request, { folder, token });
      writeWhole(join(folder, 'launched.json'), launched);
      return { launchKey: request.launchKey };
    },
    find: async (launchKey) => (existsSync(folderOf(launchKey)) ? { launchKey } : null),
    poll: async (handles) =>
      new Map(
        handles.map(({ launchKey }) => [
          launchKey,
          observe({
            launched: launchedIn(launchKey),
            ended: endedIn(launchKey),
            known: existsSync(folderOf(launchKey)),
          }),
        ]),
      ),
    cancel: async ({ launchKey }: Handle, graceSeconds) => {
      const launched = launchedIn(launchKey);
      if (launched === null) return 'gone';
      if (endedIn(launchKey) !== null || !isAlive(launched)) return 'alreadyDone';
      // The runner passes SIGTERM on, and after the grace SIGKILL; it reads the grace from here.
      if (!existsSync(join(folderOf(launchKey), 'cancel.json'))) {
        writeWhole(join(folderOf(launchKey), 'cancel.json'), { graceSeconds });
        process.kill(launched.pid, 'SIGTERM');
      }
      return 'accepted';
    },
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
  const command = (target.command as string[] | undefined) ?? trainer;
  const outputs = resolve(target.outputPath ?? join(stateDir, 'outputs'));
  const output = join(outputs, spec.environment.CW_JOB);
  return {
    launchKey: spec.launchKey,
    command,
    environment: {
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

function start(
  request: LaunchRequest,
  { folder, token }: { folder: string; token: string },
): Launched {
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
    child.unref();
    if (child.pid === undefined)
      throw new ProblemError('launcher-failed', 'The process could not be started.');
    return { launchKey: request.launchKey, pid: child.pid, started: processStart(child.pid) };
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

function observe({
  launched,
  ended,
  known,
}: {
  launched: Launched | null;
  ended: Ended | null;
  known: boolean;
}): Observation {
  if (ended !== null) return { state: 'exited', exit: ended };
  if (launched === null)
    return known ? { state: 'unknown', detail: 'claimed, not yet started' } : { state: 'notFound' };
  if (isAlive(launched)) return { state: 'running' };
  // Its runner was killed too, so nobody could write how the trainer ended.
  return { state: 'failed', exit: { code: null, signal: 'SIGKILL' } };
}

async function checkLocal(target: LaunchTarget): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [dataset, path] of Object.entries(target.dataPaths)) {
    const ok = existsSync(resolve(path));
    const detail = ok
      ? `images of "${dataset}" are there`
      : `images of "${dataset}": no folder ${path}`;
    findings.push({ severity: ok ? 'ok' : 'error', detail });
  }
  if (findings.length === 0) {
    findings.push({
      severity: 'warning',
      detail: 'dataPaths names no dataset, so no job can be launched here',
    });
  }
  return findings;
}
