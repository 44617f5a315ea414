// Lays the image of infra/node/Dockerfile into a folder by the Dockerfile's own words, without
// Docker: what .dockerignore lets through is copied as COPY says, environment, user and commands
// are read. Packages come from whoever calls.

import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pairsOf, readDockerfile, stagesUpTo } from '../../trainer/gpu/dockerfile.ts';

/** `/app` of the image is `<root>/app` here. */
export type LaidImage = {
  root: string;
  workdir: string;
  env: Record<string, string>;
  user: { uid: number; gid: number };
  command: string[];
  healthcheck: string[];
};

/** Whether `.dockerignore` lets a path into the context: the last line that fits decides. */
export function contextFilter(dockerignore: string): (path: string) => boolean {
  const lines = dockerignore.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const rules = lines.map((line) => ({
    lets: line.startsWith('!'),
    fits: new RegExp(`^${patternOf(line.replace(/^!/, ''))}(/|$)`),
  }));
  return (path) => rules.findLast(({ fits }) => fits.test(path))?.lets ?? true;
}

function patternOf(glob: string): string {
  return glob
    .replaceAll(/[.+^$()[\]{}|\\]/g, '\\$&')
    .replaceAll('**/', '(.*/)?')
    .replaceAll(/(?<![.)])\*/g, '[^/]*');
}

/**
 * Lays stage `service`. `install` is called with the folder in which the first stage installs the
 * packages, and with the words of its RUN; that folder is the image's /app.
 */
export function layImage(options: {
  checkout: string;
  /** Paths below the checkout. */
  paths: string[];
  into: string;
  install: (folder: string, words: string) => void;
}): LaidImage {
  const { checkout, into, install } = options;
  const read = (path: string) => readFileSync(join(checkout, path), 'utf8');
  const paths = options.paths.filter(contextFilter(read('.dockerignore')));
  const dockerfile = readDockerfile(read('infra/node/Dockerfile'));
  const [build] = stagesUpTo(dockerfile, 'build');
  const app = join(into, 'app');
  mkdirSync(app, { recursive: true });
  for (const { keyword, text } of build.instructions) {
    if (keyword === 'COPY') copy({ checkout, paths, text, workdir: app });
    if (keyword === 'RUN') install(app, text);
  }
  const image: LaidImage = {
    ...{ root: into, workdir: '/', env: {}, user: { uid: 0, gid: 0 } },
    ...{ command: [], healthcheck: [] },
  };
  for (const { keyword, text } of stagesUpTo(dockerfile, 'service').at(-1)?.instructions ?? []) {
    const workdir = join(into, image.workdir);
    if (keyword === 'WORKDIR') image.workdir = text;
    else if (keyword === 'ENV') Object.assign(image.env, pairsOf(text));
    else if (keyword === 'USER') image.user = userOf(text);
    else if (keyword === 'VOLUME') makeVolumes(JSON.parse(text), into);
    else if (keyword === 'CMD') image.command = JSON.parse(text);
    else if (keyword === 'HEALTHCHECK') image.healthcheck = commandIn(text);
    else if (keyword === 'COPY' && !text.startsWith('--from=build ')) {
      copy({ checkout, paths, text, workdir });
    }
  }
  return image;
}

const commandIn = (text: string): string[] => JSON.parse(text.slice(text.indexOf('CMD') + 3));

function userOf(text: string) {
  const [uid, gid] = text.split(':').map(Number);
  return { uid, gid };
}

function makeVolumes(volumes: string[], into: string): void {
  for (const volume of volumes) mkdirSync(join(into, volume), { recursive: true });
}

/** COPY of files and folders: a folder's content goes to the place, a file into it or onto it. */
function copy({
  checkout,
  paths,
  text,
  workdir,
}: {
  checkout: string;
  paths: string[];
  text: string;
  workdir: string;
}): void {
  const sources = text.split(/\s+/);
  const to = sources.pop() ?? '';
  for (const source of sources) {
    const inside = paths.filter((path) => path === source || path.startsWith(`${source}/`));
    if (inside.length === 0) throw new Error(`COPY ${text}: the context has no ${source}`);
    const isFolder = statSync(join(checkout, source)).isDirectory();
    for (const path of inside) {
      const place = isFolder ? path.slice(source.length + 1) : basename(path);
      const file = join(workdir, isFolder || /[./]$/.test(to) ? join(to, place) : to);
      mkdirSync(dirname(file), { recursive: true });
      if (existsSync(join(checkout, path))) cpSync(join(checkout, path), file);
    }
  }
}
