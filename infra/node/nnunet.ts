// `npm run test:nnunet`: installs the real nnU-Net with PyTorch into an environment of its own,
// once per machine and set of versions, then runs the tests that need it.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const requirements = join(root, 'test/trainer/nnunet/requirements.txt');
const adapter = join(root, 'trainer/nnunet');
const say = (line: string) => process.stderr.write(`nnunet: ${line}\n`);

/** Exit code of a run that was left out, for .ci/run to tell it from a passed one. */
const skippedCode = 77;

function skip(why: string): never {
  say('');
  say(`SKIPPED: ${why}.`);
  say(
    'The tests of the nnU-Net adapter were not run. They need Python 3.10 or newer with venv, and',
  );
  say('a package index that has torch and nnunetv2 (about 6 GB); CW_PYTHON names another Python.');
  process.exit(skippedCode);
}

function findPython(): string {
  const wanted = process.env.CW_PYTHON;
  const names = wanted ? [wanted] : ['python3.11', 'python3.12', 'python3.10', 'python3'];
  const ask = 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))';
  const found = names.find((name) => spawnSync(name, ['-c', ask]).status === 0);
  return found ?? skip(`no Python from 3.10 to 3.13 (looked for ${names.join(', ')})`);
}

/** Runs a step and shows what it says; false where it fails. */
function step(what: string, command: string, args: string[]): boolean {
  say(what);
  return spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0;
}

// Complete or not there at all: the stamp is written last.
function environment(): string {
  const python = findPython();
  const version = spawnSync(python, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const asked = `${version}\n${readFileSync(requirements, 'utf8')}`;
  const name = createHash('sha256').update(asked).digest('hex').slice(0, 16);
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(caches, 'counterweight', `nnunet-${name}`);
  const stamp = join(folder, 'complete');
  const inside = join(folder, 'bin/python');
  if (existsSync(stamp)) {
    say(`environment of an earlier run: ${folder}`);
    return inside;
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, '..'), { recursive: true });
  const installed =
    step(`1/3 an environment in ${folder} (${version})`, python, ['-m', 'venv', folder]) &&
    step('2/3 uv, which installs', inside, ['-m', 'pip', 'install', '--quiet', 'uv==0.13.9']) &&
    step('3/3 nnU-Net and PyTorch: some minutes, 6 GB', inside, [
      ...['-m', 'uv', 'pip', 'install', '--python', inside, '-r', requirements],
    ]);
  if (!installed) skip('the environment could not be installed (see above)');
  writeFileSync(stamp, asked);
  return inside;
}

function main(): number {
  const python = environment();
  const adapterArgs = ['-m', 'uv', 'pip', 'install', '--quiet', '--python', python];
  const reinstall = ['--no-deps', '--no-build-isolation', '--reinstall', adapter];
  if (!step('the adapter', python, [...adapterArgs, ...reinstall])) return 1;
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--config', 'test/vitest.config.ts', '--project', 'nnunet'];
  const { status } = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, CW_NNUNET_PYTHON: python },
  });
  return status ?? 1;
}

process.exit(main());
