// The bundled action started as a runner starts it: inputs in the environment, files for outputs,
// state and summary, commands on stdout, signals.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundlePath } from '../../infra/action/build.ts';

export type Ran = {
  code: number | null;
  signal: NodeJS.Signals | null;
  log: string;
  outputs: Record<string, string>;
  state: Record<string, string>;
  summary: string;
  /** What the runner would show on the page of the run. */
  annotations: { kind: string; title: string | null; message: string }[];
  masked: string[];
};

export type Running = {
  done: Promise<Ran>;
  process: ChildProcess;
  /** All that was written so far. */
  log: () => string;
};

export type RunnerOptions = {
  inputs: Record<string, string>;
  event?: { name: string; payload?: object };
  env?: Record<string, string>;
  /** What `saveState` wrote: the step after the job's last one. */
  state?: Record<string, string>;
};

const repositoryId = 424242;

const runnerEnvironment = {
  GITHUB_WORKFLOW: 'train',
  GITHUB_JOB: 'launch',
  GITHUB_ACTION: '__octo-lab_counterweight',
  GITHUB_REPOSITORY: 'octo-lab/segmentation',
  GITHUB_REPOSITORY_ID: String(repositoryId),
  GITHUB_RUN_ID: '123',
  GITHUB_RUN_ATTEMPT: '1',
  GITHUB_REF: 'refs/heads/main',
  GITHUB_SHA: 'c040cae0f0dc81641728557b80f09cfa23b83fe5',
  GITHUB_ACTOR: 'octocat',
  GITHUB_SERVER_URL: 'https://github.com',
};

/** The event of a pull request; from a fork where the head is another repository. */
export function pullRequestEvent(options: { fork?: boolean; name?: string } = {}) {
  const head = { repo: { id: options.fork ? 515151 : repositoryId } };
  const payload = { pull_request: { number: 7, head } };
  return { name: options.name ?? 'pull_request', payload };
}

const started = new Set<ChildProcess>();

/** Ends steps that a test which failed has left running. */
export function endSteps(): void {
  for (const one of started) one.kill('SIGKILL');
}

/** Starts the action; `done` is what a runner would know of it afterwards. */
export function startAction({ inputs, event, env = {}, state = {} }: RunnerOptions): Running {
  const folder = mkdtempSync(join(tmpdir(), 'counterweight-action-'));
  const [output, summary, stateFile, payload] = ['output', 'summary', 'state', 'event.json'].map(
    (name) => join(folder, name),
  );
  for (const file of [output, summary, stateFile]) writeFileSync(file, '');
  const { name = 'push', payload: given = {} } = event ?? {};
  writeFileSync(payload, JSON.stringify({ repository: { id: repositoryId }, ...given }));
  const child = spawn(process.execPath, [bundlePath], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      ...runnerEnvironment,
      GITHUB_EVENT_NAME: name,
      GITHUB_EVENT_PATH: payload,
      GITHUB_OUTPUT: output,
      GITHUB_STEP_SUMMARY: summary,
      GITHUB_STATE: stateFile,
      ...env,
      ...named('INPUT', inputs),
      ...named('STATE', state, false),
    },
  });
  started.add(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log += text;
    });
  }
  const done = new Promise<Ran>((resolve) => {
    child.on('close', (code, signal) => {
      started.delete(child);
      const text = (file: string) => readFileSync(file, 'utf8');
      const files = { outputs: valuesOf(text(output)), state: valuesOf(text(stateFile)) };
      resolve({ code, signal, log, ...files, summary: text(summary), ...commandsOf(log) });
      rmSync(folder, { recursive: true });
    });
  });
  return { done, process: child, log: () => log };
}

export const runAction = (options: RunnerOptions): Promise<Ran> => startAction(options).done;

/** As a runner names them: upper case, spaces as underscores, hyphens kept. */
function named(prefix: string, values: Record<string, string>, upper = true) {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const plain = name.replaceAll(' ', '_');
      return [`${prefix}_${upper ? plain.toUpperCase() : plain}`, value];
    }),
  );
}

/** Name and value pairs of an environment file: a line, or a block between delimiters. */
function valuesOf(text: string): Record<string, string> {
  const blocks = text.matchAll(/^([^=\n]+?)<<(\S+)\n([\s\S]*?)\n\2$/gm);
  return Object.fromEntries([...blocks].map(([, name, , value]) => [name, value]));
}

/** Workflow commands in a log, decoded. */
function commandsOf(log: string): Pick<Ran, 'annotations' | 'masked'> {
  const lines = [...log.matchAll(/^::([a-z-]+)(?: ([^:]*(?:%3A[^:]*)*))?::(.*)$/gm)];
  const commands = lines.map(([, kind, properties = '', message]) => ({
    kind,
    title: decoded(/(?:^|,)title=([^,]*)/.exec(properties)?.[1] ?? '') || null,
    message: decoded(message),
  }));
  const shownKinds = ['error', 'warning', 'notice'];
  return {
    annotations: commands.filter(({ kind }) => shownKinds.includes(kind)),
    masked: commands.filter(({ kind }) => kind === 'add-mask').map(({ message }) => message),
  };
}

const codes: Record<string, string> = { '%0A': '\n', '%0D': '\r', '%3A': ':', '%2C': ',' };
const decoded = (text: string) =>
  text.replace(/%(0A|0D|3A|2C)/g, (one) => codes[one]).replaceAll('%25', '%');
