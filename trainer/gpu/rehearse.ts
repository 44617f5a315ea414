// Runs the image's steps on this machine without Docker: `node --import tsx
// trainer/gpu/rehearse.ts cpu` (or gpu). A clean clone is the context, each stage a folder; what
// needs root is left out and said. Last the trainer starts as in the image, not as root.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  type Dockerfile,
  type Instruction,
  pairsOf,
  readDockerfile,
  stagesUpTo,
} from './dockerfile.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'without-cuda-libraries': { type: 'boolean', default: false },
    keep: { type: 'boolean' },
  },
});
const [target = 'cpu'] = positionals;
const withoutCuda = values['without-cuda-libraries'];
const work = mkdtempSync(join(tmpdir(), 'cw-image-'));
chmodSync(work, 0o755);
const context = join(work, 'context');
const say = (line: string) => process.stdout.write(`${line}\n`);

/** A stage as a folder: `/app` of the image is `<root>/app` here. */
type Built = { root: string; env: Record<string, string>; workdir: string; entrypoint: string[] };
const finished = new Map<string, Built>();
let dockerfile: Dockerfile = { args: {}, stages: [] };

type Ended = { status: number; stdout: string; output: string };

function run(command: string, args: string[], options: object): Ended {
  const done = spawnSync(command, args, { encoding: 'utf8', ...options });
  const stdout = done.stdout ?? '';
  const output = done.error ? String(done.error) : `${stdout}${done.stderr}`;
  return { status: done.status ?? 127, stdout, output };
}

function mustRun(command: string, args: string[], options: object): string {
  const { status, output } = run(command, args, options);
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${output}`);
  return output;
}

/** Absolute paths of the image that exist in this folder only. */
const inRoot = (text: string, root: string) =>
  text.replace(/(^|[\s=:"'])\/(app|opt|out|cache|data)(?=[/\s:"']|$)/g, `$1${root}/$2`);

/** What a process of this stage is given: nothing of ours but where programs and proxies are. */
function environmentOf({ env, root }: Built): Record<string, string> {
  const passed = /^(PATH|LANG|PIP_.*|NPM_CONFIG_.*|.*_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i;
  const ours = Object.entries(process.env).filter(([name]) => passed.test(name));
  const theirs = Object.entries(env).map(([name, value]) => [name, inRoot(value, root)]);
  return Object.fromEntries([...ours, ...theirs]);
}

function copy(stage: Built, text: string): void {
  const [, from, rest] = /^(?:--from=(\S+)\s+)?(.*)$/.exec(text)!;
  const paths = rest.split(/\s+/);
  const to = paths.pop()!;
  const place = to.startsWith('/') ? join(stage.root, to) : join(stage.root, stage.workdir, to);
  const origin = from === undefined ? context : built(from).root;
  for (const path of paths) {
    const source = join(origin, path);
    if (withoutCuda && path.endsWith('/nvidia')) {
      say(`  left out: ${path}, as asked`);
      continue;
    }
    if (!existsSync(source)) throw new Error(`COPY ${text}: there is no ${path}`);
    const intoFolder = !statSync(source).isDirectory() && (to.endsWith('/') || to.endsWith('.'));
    cpSync(source, intoFolder ? join(place, basename(path)) : place, {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

function step(stage: Built, { keyword, text, line }: Instruction): void {
  const path = (name: string) => join(stage.root, name);
  if (keyword === 'WORKDIR') {
    stage.workdir = text;
    mkdirSync(path(text), { recursive: true });
  } else if (keyword === 'ENV') {
    Object.assign(stage.env, pairsOf(text));
  } else if (keyword === 'VOLUME') {
    for (const volume of JSON.parse(text)) mkdirSync(path(volume), { recursive: true });
  } else if (keyword === 'ENTRYPOINT') {
    stage.entrypoint = JSON.parse(text);
  } else if (keyword === 'COPY') {
    copy(stage, text);
  } else if (keyword === 'RUN' && /\bapt-get\b/.test(text)) {
    say(`  left out, it needs root and Debian: ${text}`);
  } else if (keyword === 'RUN') {
    const started = performance.now();
    const cwd = path(stage.workdir);
    mustRun('sh', ['-c', inRoot(text, stage.root)], { cwd, env: environmentOf(stage) });
    say(`  line ${line}: ${text} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
}

/** Makes a stage, and before it what it starts or copies from. */
function built(name: string): Built {
  const known = finished.get(name);
  if (known !== undefined) return known;
  const stages = stagesUpTo(dockerfile, name);
  if (stages.length === 0) throw new Error(`the Dockerfile has no stage "${name}"`);
  const { from, instructions } = stages.at(-1)!;
  const base = stages.length > 1 ? built(from) : null;
  const stage: Built = {
    root: join(work, name),
    env: { ...base?.env },
    workdir: base?.workdir ?? '/',
    entrypoint: base?.entrypoint ?? [],
  };
  mkdirSync(stage.root);
  if (base !== null) cpSync(base.root, stage.root, { recursive: true, verbatimSymlinks: true });
  say(`stage ${name}, from ${from}`);
  for (const instruction of instructions) step(stage, instruction);
  finished.set(name, stage);
  return stage;
}

/** The trainer as the image starts it: not root, nothing writable but /out, /cache and /tmp. */
function start(stage: Built, args: string[], env: Record<string, string> = {}) {
  const user = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {};
  const options = { cwd: join(stage.root, stage.workdir), ...user };
  const [command, ...rest] = args;
  return run(command, rest, { ...options, env: { ...environmentOf(stage), ...env } });
}

/** A clean clone of the last commit, without what `.dockerignore` keeps from the builder. */
function makeContext(): void {
  mustRun('git', ['clone', '--quiet', '--local', '--no-hardlinks', repository, context], {});
  say(`context: ${mustRun('git', ['log', '-1', '--format=%h %s'], { cwd: context }).trim()}`);
  const lines = readFileSync(join(context, '.dockerignore'), 'utf8').split('\n');
  for (const name of readdirSync(context)) {
    if (!lines.includes(`!${name}`)) rmSync(join(context, name), { recursive: true });
  }
  if (withoutCuda) {
    const list = join(context, 'trainer/gpu/tensorflow-cuda.txt');
    const lines = readFileSync(list, 'utf8').split('\n');
    writeFileSync(list, lines.filter((line) => !line.startsWith('nvidia-')).join('\n'));
  }
}

try {
  makeContext();
  dockerfile = readDockerfile(readFileSync(join(context, 'trainer/gpu/Dockerfile'), 'utf8'));
  const stage = built(target);
  const command = stage.entrypoint.slice(stage.entrypoint.indexOf('--') + 1);
  const refused = start(stage, command);
  say(`trainer without its environment: exit ${refused.status}, ${refused.output.trim()}`);
  const checks = ['node', '--import', 'tsx', 'trainer/cli.ts', 'doctor', '--json'];
  const { stdout, output } = start(stage, checks);
  if (!stdout.startsWith('[')) throw new Error(`doctor says nothing: ${output}`);
  const found = JSON.parse(stdout);
  const { detail } = found.find(({ what }: { what: string }) => what === 'backend');
  say(`backend: ${detail}`);
  const works = refused.status === 64 && detail.startsWith('native');
  say(works ? `passed: target ${target}` : `FAILED: target ${target}`);
  process.exitCode = works ? 0 : 1;
} finally {
  if (values.keep) say(`kept: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
