// The trainer's image without a registry and without `docker build`: this machine's Node with its
// libraries, the packages that the Dockerfile installs, the code, and the Dockerfile's own
// environment, user and entry point.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pairsOf, readDockerfile, stagesUpTo } from '../../trainer/gpu/dockerfile.ts';
import type { Podman } from './podman.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Programs of the image: Node, and what the Dockerfile's entry point is made of. */
const programs = ['node', 'tini', 'sh'];

export type TrainerImage = {
  /** By a tag, which engines on this machine take, and by its digest, which all take. */
  tagged: string;
  pinned: string;
};

/** Builds the image. `folder` is for what goes into it. */
export async function buildTrainerImage(podman: Podman, folder: string): Promise<TrainerImage> {
  const stage = join(folder, 'root');
  for (const name of ['usr/bin', 'tmp', 'out', 'data', 'app/node_modules', 'etc']) {
    mkdirSync(join(stage, name), { recursive: true });
  }
  chmodSync(join(stage, 'tmp'), 0o1777);
  symlinkSync('usr/bin', join(stage, 'bin'));
  for (const name of programs) copyProgram(name, stage);
  writeFileSync(join(stage, 'etc/passwd'), 'trainer:x:1000:1000::/tmp:/bin/sh\n');
  for (const name of ['api', 'trainer']) cpSync(join(root, name), join(stage, 'app', name), copied);
  for (const name of ['package.json', 'tsconfig.json']) {
    copyFileSync(join(root, name), join(stage, 'app', name));
  }
  for (const path of productionPackages()) {
    const from = join(root, 'node_modules', path);
    const to = join(stage, 'app/node_modules', path);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(from, to);
  }
  copyFileSync(join(import.meta.dirname, 'mischief.mjs'), join(stage, 'mischief.mjs'));
  const archive = join(folder, 'image.tar');
  // Links are followed, so packages are read from where they are.
  const skipped = ['map', 'min.js', 'es2017.js', 'fesm.js', 'd.ts'].map(
    (end) => `--exclude=*.${end}`,
  );
  const tar = ['--create', '--dereference', ...skipped, '--file', archive];
  execFileSync('tar', [...tar, '--directory', stage, '.']);
  const tagged = 'localhost/counterweight-trainer:cpu';
  await podman.run('import', ...changes(), archive, tagged);
  rmSync(archive);
  const pinned = await podman.run('inspect', tagged, '--format', '{{index .RepoDigests 0}}');
  return { tagged, pinned };
}

const copied = {
  recursive: true,
  filter: (path: string) => !/\/(node_modules|built|building-[^/]*|__pycache__)(\/|$)/.test(path),
};

function copyProgram(name: string, stage: string): void {
  const which = ['-c', `readlink -f "$(command -v ${name})"`];
  const path = execFileSync('sh', which, { encoding: 'utf8' }).trim();
  copyFileSync(path, join(stage, 'usr/bin', name));
  const told = execFileSync('ldd', [path], { encoding: 'utf8' });
  for (const [library] of told.matchAll(/\/\S+\.so\S*/g)) {
    mkdirSync(join(stage, dirname(library)), { recursive: true });
    copyFileSync(library, join(stage, library));
  }
}

/** Paths below node_modules of what `npm ci --omit=dev` installs and this machine has. */
function productionPackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const present = JSON.parse(
    readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8'),
  ).packages;
  return Object.keys(packages)
    .filter((path) => path !== '' && !packages[path].dev && path in present)
    .filter((path) => path.lastIndexOf('node_modules/') === 0)
    .map((path) => path.slice('node_modules/'.length));
}

/** What the Dockerfile says of the image, for `podman import`. */
function changes(): string[] {
  const text = readFileSync(join(root, 'trainer/gpu/Dockerfile'), 'utf8');
  const [stage] = stagesUpTo(readDockerfile(text), 'cpu').filter(({ name }) => name === 'trainer');
  const said = stage.instructions.flatMap(({ keyword, text: value }) => {
    if (keyword === 'ENV') {
      return Object.entries(pairsOf(value)).map(([name, one]) => `ENV ${name}=${one}`);
    }
    return ['WORKDIR', 'USER', 'ENTRYPOINT'].includes(keyword) ? [`${keyword} ${value}`] : [];
  });
  return said.flatMap((line) => ['--change', line]);
}
