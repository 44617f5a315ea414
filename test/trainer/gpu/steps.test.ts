// The build of the native backend with made-up programs: what it asks of them, what it leaves, and
// what it says when one of them fails. `npm run native` itself is run by hand and in the images.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandError, type Run, run } from '../../../trainer/gpu/run.ts';
import { buildNative, readStamp } from '../../../trainer/gpu/steps.ts';

const source = fileURLToPath(new URL('../../../trainer/gpu/', import.meta.url));
const sources = ['package.json', 'package-lock.json', 'tensorflow-cpu.txt', 'steps.ts'];

let folder: string;
let asked: string[][];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cw-native-'));
  for (const name of sources) copyFileSync(join(source, name), join(folder, name));
  asked = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

const versionHeader = (patch: number) =>
  `#define TF_MAJOR_VERSION 2\n#define TF_MINOR_VERSION 18\n#define TF_PATCH_VERSION ${patch}\n`;

function putTensorflow(at: string): void {
  for (const name of ['cc', 'framework']) put(join(at, `libtensorflow_${name}.so.2`), name);
  put(join(at, 'include/tensorflow/core/public/version.h'), versionHeader(0));
}

/** npm, pip, unzipping and the compiler, each leaving what the real one leaves. */
const programs: Run = async (command, args, { cwd }) => {
  asked.push([command, ...args]);
  if (command === 'npm') {
    const npmPackage = join(cwd, 'node_modules/@tensorflow/tfjs-node-gpu');
    put(join(npmPackage, 'package.json'), '{"version": "4.22.0"}');
    put(join(npmPackage, 'dist/index.js'), 'kernels');
    put(join(npmPackage, 'dist/index_test.js'), 'tests');
    put(join(cwd, 'node_modules/google-protobuf/package.json'), '{}');
  } else if (command === 'g++') {
    put(join(cwd, 'binding.node'), 'machine code');
  } else if (args[0] === '-m') {
    put(join(args[args.indexOf('-d') + 1], 'tensorflow.whl'));
  } else {
    putTensorflow(join(args[3], 'tensorflow'));
  }
};

/** The same programs, one of which fails. */
const failing =
  (which: (words: string[]) => boolean, output: string | null): Run =>
  async (command, args, options) => {
    if (!which([command, ...args])) return await programs(command, args, options);
    throw commandError(command, { missing: output === null, output: output ?? '' });
  };

const build = (more: Partial<Parameters<typeof buildNative>[0]> = {}) =>
  buildNative({ folder, run: programs, say: () => {}, platform: 'linux-x64', ...more });

test('builds once, and then does nothing', async () => {
  expect(await build()).toBe('built');
  expect(asked.map(([command, first]) => `${command} ${first}`)).toEqual([
    'npm ci',
    'python3 -m',
    'python3 -c',
    'g++ -std=c++17',
  ]);
  const built = join(folder, 'built');
  expect(readdirSync(built).sort()).toEqual(
    ['binding.node', 'dist', 'lib', 'node_modules', 'package.json', 'stamp.json'].sort(),
  );
  expect(readdirSync(join(built, 'dist'))).toEqual(['index.js']);
  expect(readdirSync(join(built, 'node_modules'))).toEqual(['google-protobuf']);
  expect(readStamp(built)).toMatchObject({ package: '4.22.0', tensorflow: '2.18.0' });
  expect(readdirSync(folder).sort()).toEqual([...sources, 'built'].sort());
  asked = [];
  expect(await build()).toBe('up to date');
  expect(asked).toEqual([]);
});

test('takes only wheels with the pinned hash, and links the library by a path beside it', async () => {
  await build();
  const [npm, pip, , compiler] = asked;
  expect(npm).toContain('--ignore-scripts');
  expect(pip).toEqual(expect.arrayContaining(['--require-hashes', '--no-deps']));
  expect(pip[pip.indexOf('-r') + 1]).toBe(join(folder, 'tensorflow-cpu.txt'));
  expect(readFileSync(join(folder, 'tensorflow-cpu.txt'), 'utf8')).toMatch(
    /^tensorflow-cpu==[\d.]+ --hash=sha256:[0-9a-f]{64}$/m,
  );
  expect(compiler).toContain('-Wl,-rpath,$ORIGIN/lib');
});

test('builds again where what it is built from has changed', async () => {
  await build();
  put(join(folder, 'tensorflow-cpu.txt'), 'tensorflow-cpu==2.19.0 --hash=sha256:00\n');
  expect(await build()).toBe('built');
  expect(await build()).toBe('up to date');
});

test('links an installed TensorFlow where it stands, and fetches none', async () => {
  const tensorflow = join(folder, 'site-packages/tensorflow');
  putTensorflow(tensorflow);
  expect(await build({ tensorflow })).toBe('built');
  expect(asked.map(([command]) => command)).toEqual(['npm', 'g++']);
  expect(asked[1]).toContain(`-Wl,-rpath,${tensorflow}`);
  expect(existsSync(join(tensorflow, 'libtensorflow_cc.so.2'))).toBe(true);
  expect(existsSync(join(folder, 'built/lib'))).toBe(false);
});

const isPip = ([command, first]: string[]) => command === 'python3' && first === '-m';
const isUnpacking = ([command, first]: string[]) => command === 'python3' && first === '-c';
const isNpm = ([command]: string[]) => command === 'npm';
const isCompiler = ([command]: string[]) => command === 'g++';

test.each<[string, (words: string[]) => boolean, string | null, RegExp]>([
  ['no npm', isNpm, null, /npm cannot be started/],
  ['npm without a network', isNpm, 'npm error code EAI_AGAIN', /registry cannot be reached/],
  ['a lock file that does not fit', isNpm, 'npm error code EUSAGE', /belong together/],
  ['no Python', isPip, null, /python3 is not installed\)\. Install both/],
  ['no pip', isPip, '/usr/bin/python3: No module named pip', /Python has none/],
  ['another wheel', isPip, 'THESE PACKAGES DO NOT MATCH THE HASHES', /not the pinned one/],
  ['no package index', isPip, 'ERROR: No matching distribution', /check network, proxy/],
  ['a full disk', isUnpacking, 'OSError: [Errno 28]', /1\.2 GB of free disk/],
  ['no compiler', isCompiler, null, /Install a C\+\+17 compiler/],
  ['an old compiler', isCompiler, 'error: unknown -std', /g\+\+ 9 or newer[\s\S]*unknown -std/],
])('with %s it says what to do and leaves nothing', async (_, which, output, says) => {
  await expect(build({ run: failing(which, output) })).rejects.toThrow(says);
  expect(readdirSync(folder).sort()).toEqual([...sources].sort());
});

test('keeps an older build where a newer one fails', async () => {
  await build();
  const before = readStamp(join(folder, 'built'));
  put(join(folder, 'tensorflow-cpu.txt'), 'tensorflow-cpu==2.19.0 --hash=sha256:00\n');
  await expect(build({ run: failing(isCompiler, null) })).rejects.toThrow('g++ is not installed');
  expect(readStamp(join(folder, 'built'))).toEqual(before);
  expect(readFileSync(join(folder, 'built/binding.node'), 'utf8')).toBe('machine code');
});

test('says that other platforms need nothing native', async () => {
  await expect(build({ platform: 'darwin-arm64' })).rejects.toThrow(
    /for linux-x64 only, and this is darwin-arm64.*wasm/,
  );
  expect(asked).toEqual([]);
});

test('removes what a killed build left, and not what one is making', async () => {
  put(join(folder, 'building-4194305/half'), ''); // above the largest process id of Linux
  put(join(folder, `building-${process.ppid}/half`), '');
  await build();
  expect(readdirSync(folder).filter((name) => name.startsWith('building'))).toEqual([
    `building-${process.ppid}`,
  ]);
});

test('tells a missing program from one that fails, and keeps what that printed', async () => {
  const start = (code: string) => run(process.execPath, ['-e', code], { cwd: folder });
  await expect(run('cw-no-such-program', [], { cwd: folder })).rejects.toMatchObject({
    missing: true,
    message: 'cw-no-such-program is not installed',
  });
  await expect(start('console.error("why"); process.exit(3)')).rejects.toMatchObject({
    missing: false,
    output: 'why\n',
  });
  await expect(start('')).resolves.toBeUndefined();
});
