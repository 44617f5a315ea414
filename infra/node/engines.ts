// `npm run test:engines`: real engines for the launchers' tests. podman and Slurm come from Debian,
// moto (AWS Batch) from PyPI, all into a folder of their own; the tests run in namespaces in which
// that folder lies over /usr and /etc, so nothing is installed and nothing stays behind.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cachedFolder, findPython, installer } from './installing.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const requirements = join(root, 'test/engines/requirements.txt');
const enter = join(root, 'infra/node/engines.sh');

/** Debian's names; what they depend on is added where the machine has it not. */
const packages = [
  ...['podman', 'runc', 'tini'],
  ...['slurmctld', 'slurmd', 'slurm-client', 'slurmrestd', 'slurm-wlm-jwt-plugin', 'munge'],
];

const install = installer('engines', [
  'The launchers were not tried on real engines. That needs Linux, root (for namespaces), Debian or',
  `a system like it (apt-get, dpkg) with the packages ${packages.join(', ')},`,
  'and Python 3.9 or newer with venv and a package index that has moto.',
]);

// The release counts, and what the machine has: only what is missing is downloaded.
function asked(): string {
  const release = readFileSync('/etc/os-release', 'utf8');
  const present = spawnSync('dpkg-query', ['-W'], { encoding: 'utf8', maxBuffer: 2 ** 26 }).stdout;
  return [release, present, packages.join(' '), readFileSync(requirements, 'utf8')].join('\n');
}

function requireMachine(): void {
  if (process.platform !== 'linux') install.skip('this is no Linux');
  if (process.getuid?.() !== 0) install.skip('namespaces and containers need root here');
  for (const name of ['apt-get', 'dpkg', 'unshare']) {
    if (spawnSync(name, ['--version']).status !== 0) install.skip(`there is no ${name}`);
  }
}

function fill(folder: string): boolean {
  const at = (name: string) => join(folder, name);
  for (const name of ['lists/partial', 'archives/partial', 'root']) {
    mkdirSync(at(name), { recursive: true });
  }
  const apt = [
    ...['-q', '-y', '-o', `Dir::State::lists=${at('lists')}`, '-o', `Dir::Cache=${at('.')}`],
    ...['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=root'],
  ];
  const download = ['install', '--download-only', '--no-install-recommends', ...packages];
  const python = findPython(['python3'], 'import venv');
  return (
    install.step("1/4 Debian's lists of packages", 'apt-get', [...apt, 'update']) &&
    install.step('2/4 podman and Slurm: some seconds, 30 MB', 'apt-get', [...apt, ...download]) &&
    unpacked(at) &&
    python !== null &&
    install.step('3/4 an environment for moto', python, ['-m', 'venv', at('moto')]) &&
    install.step('4/4 moto, which stands for AWS', at('moto/bin/pip'), [
      ...['install', '--quiet', '--disable-pip-version-check', '-r', requirements],
    ])
  );
}

// Unpacked and not installed, so nothing sets up Debian's alternatives: `slurmctld` is a name for
// `slurmctld-wlm`.
function unpacked(at: (name: string) => string): boolean {
  for (const name of readdirSync(at('archives')).filter((file) => file.endsWith('.deb'))) {
    const { status } = spawnSync('dpkg', ['-x', join(at('archives'), name), at('root')]);
    if (status !== 0) return false;
  }
  const programs = join(at('root'), 'usr/sbin');
  for (const name of existsSync(programs) ? readdirSync(programs) : []) {
    if (name.endsWith('-wlm')) symlinkSync(name, join(programs, name.slice(0, -'-wlm'.length)));
  }
  return true;
}

function main(): number {
  requireMachine();
  const folder = cachedFolder(install, { name: 'engines', asked: asked(), fill });
  if (folder === null) return install.skip('the engines could not be installed (see above)');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const projects = ['--project', 'engines', '--project', 'many-jobs'];
  // Most of the time is spent waiting.
  const workers = ['--maxWorkers', '3'];
  const tests = [vitest, 'run', '--config', 'test/vitest.config.ts', ...projects, ...workers];
  const namespaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--mount-proc'];
  const inside = [...namespaces, '--kill-child', enter, join(folder, 'root')];
  if (spawnSync('unshare', [...inside, 'true'], { stdio: ['ignore', 2, 2] }).status !== 0) {
    return install.skip('namespaces with files laid over /usr cannot be made here (see above)');
  }
  const { status } = spawnSync(
    'unshare',
    [...inside, process.execPath, ...tests, ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit', env: { ...process.env, CW_ENGINES: folder } },
  );
  return status ?? 1;
}

process.exit(main());
