// How the native backend is built: one TensorFlow library, the npm package's own two C++ files, one
// compiler call. Everything is made in a folder of its own and renamed at the end, so what stands
// under `built` is always whole.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compilerProblem, npmProblem, pipProblem, unpackProblem } from './problems.ts';
import type { Run } from './run.ts';

export type Build = {
  /** The folder of `package.json`, both lists of packages and the result. */
  folder: string;
  /** An installed TensorFlow to link against; without it the pinned wheel is fetched. */
  tensorflow?: string;
  run: Run;
  say: (line: string) => void;
  platform?: string;
};

export type Stamp = { key: string; package: string; tensorflow: string };

const sources = ['package-lock.json', 'tensorflow-cpu.txt', 'steps.ts'];
const libraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

// Of a wheel of 9,000 files only the library and its headers are taken; Python is there for pip.
const unpackScript = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wanted = [n for n in wheel.namelist()
              if n.startswith('tensorflow/libtensorflow_') or n.startswith('tensorflow/include/') and n.endswith('.h')]
    wheel.extractall(sys.argv[2], wanted)
`;

/**
 * Builds `<folder>/built` unless it stands there already, from the same sources.
 * Throws an Error that says what to do; nothing is left behind then, and an older build stays.
 */
export async function buildNative(build: Build): Promise<'built' | 'up to date'> {
  const { folder, say, platform = `${process.platform}-${process.arch}` } = build;
  const target = join(folder, 'built');
  const key = buildKey(build, platform);
  if (readStamp(target)?.key === key) return 'up to date';
  if (platform !== 'linux-x64') {
    throw new Error(
      `the native backend is built for linux-x64 only, and this is ${platform}. The trainer needs nothing native: it takes wasm by itself.`,
    );
  }
  await removeAbandoned(folder);
  const work = join(folder, `building-${process.pid}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work);
  try {
    await makeInside(work, { ...build, key });
    if (existsSync(target)) await rename(target, `${work}-old`);
    await rename(join(work, 'built'), target);
    say(`built ${target}`);
    return 'built';
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(`${work}-old`, { recursive: true, force: true });
  }
}

/** What a finished build was made from; null where there is none. */
export function readStamp(target: string): Stamp | null {
  try {
    return JSON.parse(readFileSync(join(target, 'stamp.json'), 'utf8'));
  } catch {
    return null;
  }
}

function buildKey({ folder, tensorflow }: Build, platform: string): string {
  const hash = createHash('sha256').update(JSON.stringify([platform, tensorflow ?? null]));
  for (const name of sources) hash.update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

// A build that was killed leaves its folder; one whose process still runs is left alone.
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    const pid = /^building-(\d+)/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function makeInside(work: string, build: Build & { key: string }): Promise<void> {
  const { folder, say } = build;
  say('1/4 the npm package (npm ci --ignore-scripts)');
  for (const name of ['package.json', 'package-lock.json']) {
    await copyFile(join(folder, name), join(work, name));
  }
  const npm = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  await build.run('npm', npm, { cwd: work }).catch(npmProblem);
  const source = join(work, 'node_modules/@tensorflow/tfjs-node-gpu');
  const tensorflow = build.tensorflow ?? (await fetchTensorflow(work, build));
  const out = join(work, 'built');
  await mkdir(out);
  await copyFile(join(source, 'package.json'), join(out, 'package.json'));
  const isUsed = (path: string) => !/_test\.js$|\.d\.ts$|\.map$/.test(path);
  await cp(join(source, 'dist'), join(out, 'dist'), { recursive: true, filter: isUsed });
  // Its one dependency but tfjs, which must be found further up: the application's own copy.
  const protobuf = 'node_modules/google-protobuf';
  await cp(join(work, protobuf), join(out, protobuf), { recursive: true });
  if (build.tensorflow === undefined) {
    await mkdir(join(out, 'lib'));
    for (const name of libraries) await rename(join(tensorflow, name), join(out, 'lib', name));
  }
  say('4/4 the binding (g++, about 10 seconds)');
  const library = build.tensorflow ?? join(out, 'lib');
  const args = compilerArguments({ source, work, tensorflow, library, build });
  await build.run('g++', args, { cwd: out }).catch(compilerProblem);
  const { version } = JSON.parse(readFileSync(join(out, 'package.json'), 'utf8'));
  const stamp: Stamp = { key: build.key, package: version, tensorflow: headerVersion(tensorflow) };
  await writeFile(join(out, 'stamp.json'), `${JSON.stringify(stamp, null, 2)}\n`);
}

async function fetchTensorflow(work: string, { folder, run, say }: Build): Promise<string> {
  say('2/4 TensorFlow (230 MB from the Python package index)');
  const wheels = join(work, 'wheels');
  await mkdir(wheels);
  const pip = ['-m', 'pip', 'download', '--disable-pip-version-check', '--no-deps'];
  const wheel = ['--only-binary=:all:', '--python-version', '3.11', '--implementation', 'cp'];
  const platforms = ['--platform', 'manylinux2014_x86_64', '--platform', 'manylinux_2_17_x86_64'];
  const list = ['--require-hashes', '-r', join(folder, 'tensorflow-cpu.txt'), '-d', wheels];
  const asked = [...pip, ...wheel, '--abi', 'cp311', ...platforms, ...list];
  await run('python3', asked, { cwd: work }).catch(pipProblem);
  say('3/4 its library and headers (about 1 GB for a moment, 650 MB to keep)');
  const [file] = readdirSync(wheels);
  const unpack = ['-c', unpackScript, join(wheels, file), work];
  await run('python3', unpack, { cwd: work }).catch(unpackProblem);
  return join(work, 'tensorflow');
}

function compilerArguments(paths: {
  source: string;
  work: string;
  tensorflow: string;
  library: string;
  build: Build;
}): string[] {
  const { source, work, tensorflow, library, build } = paths;
  const headers = [
    join(work, 'node_modules/node-api-headers/include'),
    join(tensorflow, 'include'),
  ];
  return [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-w'],
    ...headers.map((folder) => `-I${folder}`),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(source, 'binding', name)),
    ...['-o', 'binding.node', `-L${library}`],
    ...libraries.map((name) => `-l:${name}`),
    `-Wl,-rpath,${build.tensorflow ?? '$ORIGIN/lib'}`,
  ];
}

// The headers say which TensorFlow they belong to; the binding says so again when it is loaded.
function headerVersion(tensorflow: string): string {
  const places = ['tensorflow/core/public/release_version.h', 'tensorflow/core/public/version.h'];
  const found = places.map((name) => join(tensorflow, 'include', name)).filter(existsSync);
  const text = found.map((path) => readFileSync(path, 'utf8')).join('\n');
  const part = (name: string) => new RegExp(`#define TF_${name}_VERSION (\\d+)`).exec(text)?.[1];
  return ['MAJOR', 'MINOR', 'PATCH'].map((name) => part(name) ?? '?').join('.');
}
