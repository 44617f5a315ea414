// `npm run test:nnunet`: installs the real nnU-Net with PyTorch into an environment of its own,
// once per machine and set of versions, then runs the tests that need it.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cachedFolder, findPython, installer } from './installing.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const requirements = join(root, 'test/trainer/nnunet/requirements.txt');
const adapter = join(root, 'trainer/nnunet');
const install = installer('nnunet', [
  'The tests of the nnU-Net adapter were not run. They need Python 3.10 or newer with venv, and',
  'a package index that has torch and nnunetv2 (about 6 GB); CW_PYTHON names another Python.',
]);

const pythons = ['python3.11', 'python3.12', 'python3.10', 'python3'];
const fits = 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))';

function environment(): string {
  const python = findPython(pythons, fits);
  if (python === null) {
    return install.skip(`no Python from 3.10 to 3.13 (looked for ${pythons.join(', ')})`);
  }
  const version = spawnSync(python, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const asked = `${version}\n${readFileSync(requirements, 'utf8')}`;
  const insideOf = (folder: string) => join(folder, 'bin/python');
  const fill = (folder: string) =>
    install.step(`1/3 an environment in ${folder} (${version})`, python, ['-m', 'venv', folder]) &&
    install.step('2/3 uv, which installs', insideOf(folder), [
      ...['-m', 'pip', 'install', '--quiet', 'uv==0.13.9'],
    ]) &&
    install.step('3/3 nnU-Net and PyTorch: some minutes, 6 GB', insideOf(folder), [
      ...['-m', 'uv', 'pip', 'install', '--python', insideOf(folder), '-r', requirements],
    ]);
  const folder = cachedFolder(install, { name: 'nnunet', asked, fill });
  if (folder === null) return install.skip('the environment could not be installed (see above)');
  return insideOf(folder);
}

function main(): number {
  const python = environment();
  const adapterArgs = ['-m', 'uv', 'pip', 'install', '--quiet', '--python', python];
  const reinstall = ['--no-deps', '--no-build-isolation', '--reinstall', adapter];
  if (!install.step('the adapter', python, [...adapterArgs, ...reinstall])) return 1;
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
