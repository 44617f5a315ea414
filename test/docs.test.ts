// Documentation that cannot drift: what exists is written down where people look for it, and what
// is written down exists. Each check is shown to fail.

import { expect, test } from 'vitest';
import { createApp } from '../api/app.ts';
import { engines } from '../api/contract/targets.ts';
import type { Deps } from '../api/deps.ts';
import { deadPaths, shallowFolders, treeFaults, treeFolders } from './docs/readmes.ts';
import {
  commandNames,
  firstCells,
  launcherNames,
  missingIn,
  routeNames,
  staleIn,
  topicsOf,
  undocumentedVariables,
  unknownUsage,
} from './docs/topics.ts';
import { repositoryFiles, repositoryPaths } from './house-rules/repository.ts';

const files = repositoryFiles();
const paths = repositoryPaths();
const textOf = (path: string) => files.find((file) => file.path === path)?.text ?? '';

// The routes are declared without a database being asked for anything.
const app = createApp({ version: 'test', database: {}, log: () => {} } as unknown as Deps);
const topics = topicsOf({
  routes: routeNames(app),
  engines,
  scripts: Object.keys(JSON.parse(textOf('package.json')).scripts),
  files,
});

test.each(topics)('$what are in $readme, each of them', (topic) => {
  expect(topic.names.length).toBeGreaterThan(0);
  expect(missingIn(textOf(topic.readme), topic)).toEqual([]);
});

test.each(topics)('$what: $readme lists none that does not exist', (topic) => {
  expect(staleIn(textOf(topic.readme), topic)).toEqual([]);
});

test.each(topics)('$what: one that is not written down, and one too many, are found', (topic) => {
  const whole = topic.names.map((name) => `${topic.mention(name)}\n`).join('');
  expect(missingIn(whole, topic)).toEqual([]);
  const [first] = topic.names;
  expect(missingIn(whole.replace(`${topic.mention(first)}\n`, ''), topic)).toEqual([first]);
  const claimed = ['Problems', 'Settings of a job']
    .map((heading) => `\n## ${heading}\n\n| \`nonesuch\` | 1 |\n`)
    .join('');
  if (topic.claimed !== undefined) expect(staleIn(claimed, topic)).toContain('nonesuch');
});

test('the first cells of a table are read below its heading only', () => {
  const text = '\n## A\n\n| `x` | 1 |\n\n## B\n\n| `y` | 2 |\n| z | 3 |\n';
  expect(firstCells(text, 'A')).toEqual(['x']);
  expect(firstCells(text)).toEqual(['x', 'y']);
});

test('every environment variable is in the README of its folder or in the first one', () => {
  expect(undocumentedVariables(files)).toEqual([]);
});

test('a variable that is read in any way and not written down is found', () => {
  const code = { path: 'api/env.ts', text: "env.CW_NEW; process.env['SECRET_URL']; env.PATH;" };
  const readme = { path: 'api/README.md', text: 'nothing of it' };
  expect(undocumentedVariables([code, readme])).toEqual([
    'CW_NEW (api/env.ts)',
    'SECRET_URL (api/env.ts)',
  ]);
  const written = { path: 'api/README.md', text: '`CW_NEW` `SECRET_URL`' };
  expect(undocumentedVariables([code, written])).toEqual([]);
  const elsewhere = { path: 'migrations/README.md', text: '`CW_NEW` `SECRET_URL`' };
  expect(undocumentedVariables([code, elsewhere])).toHaveLength(2);
});

test('the tree of the README is the tree of the checkout', () => {
  expect(treeFaults(textOf('README.md'), paths)).toEqual([]);
});

test('a folder that is missing in the tree, and one that is not there, are found', () => {
  const readme = '# x\n\n## The tree\n\n```\napi/        service\n  store/    SQL\n```\n';
  expect(treeFolders(readme)).toEqual(['api', 'api/store']);
  expect(shallowFolders(['api/store/deep/x.ts', 'a.ts', '.ci/run'])).toEqual(['api', 'api/store']);
  expect(treeFaults(readme, ['api/routes/x.ts'])).toEqual([
    'api/routes/ is not in the tree',
    'api/store/ does not exist',
  ]);
});

test('links and paths in READMEs lead somewhere', () => {
  const readmes = files.filter(({ path }) => path.endsWith('.md'));
  expect(readmes.flatMap((readme) => deadPaths(readme, paths))).toEqual([]);
});

test('a dead link, a dead path and a document that is not there are found', () => {
  const there = ['api/README.md', 'api/app.ts', 'api/store/cases.ts', 'README.md'];
  const text = [
    '[a](app.ts) [b](gone.ts) [c](https://example.org) [d](#x)',
    '`app.ts` `store/` `api/store/cases.ts` `POST /v1/jobs` `summary.json` `*.ts` `text/csv`',
    '`nothing.ts` `gone/` `api/gone`',
    'README.md METHODS.md',
  ].join('\n');
  expect(deadPaths({ path: 'api/README.md', text }, there)).toEqual([
    'api/README.md:1: gone.ts',
    'api/README.md:3: nothing.ts',
    'api/README.md:3: gone/',
    'api/README.md:3: api/gone',
    'api/README.md:4: METHODS.md',
  ]);
});

test('commands and launchers are found where they are written', () => {
  const cli = "program.command('scan <dir>'); const v = new Command('verify'); y.command(name);";
  expect(commandNames([{ path: 'trainer/commands/scan.ts', text: cli }])).toEqual([
    'scan',
    'verify',
  ]);
  const there = ['api/launchers/local.ts', 'api/launchers/aws-batch/x.ts', 'api/launchers/a.ts'];
  expect(launcherNames(there, engines)).toEqual(['local', 'aws-batch']);
});

test('the command line has every command and flag that READMEs show', () => {
  const readmes = files.filter(({ path }) => path.endsWith('README.md'));
  expect(
    readmes.flatMap(({ path, text }) => unknownUsage(text, files).map((one) => [path, one])),
  ).toEqual([]);
});

test('a command and a flag that are shown and not there are found', () => {
  const text = "program.command('scan <dir>').option('--out-file <file>');";
  const cli = { path: 'trainer/commands/scan.ts', text };
  const shown = '    npx counterweight scan DIR --out x\n    npm run --silent cw -- fly\n';
  expect(unknownUsage(shown, [cli])).toEqual(['--out', 'fly']);
  expect(unknownUsage('    npx counterweight scan DIR --out-file x', [cli])).toEqual([]);
});

test('README says what continuous integration runs, and it runs what README says', () => {
  const ran = textOf('.ci/run');
  for (const command of ['npm test', 'npm run demo -- --exit']) {
    expect(ran).toContain(command);
    expect(textOf('README.md')).toContain(command);
  }
});
