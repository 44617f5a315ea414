// The files of the action against each other: the bundle is what the sources make, and the README,
// the example and the code know the inputs and outputs that action.yml declares.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bundled, bundlePath } from '../../../infra/action/build.ts';
import { exitCodes } from '../../../infra/action/failure.ts';
import { inputsOf } from '../../../infra/action/inputs.ts';
import { exitCodes as ofCommandLine } from '../../../trainer/client.ts';

const file = (name: string) => readFileSync(`infra/action/${name}`, 'utf8');

/** The keys below a key of the first level. */
function keysBelow(yaml: string, name: string): string[] {
  const block = new RegExp(`^${name}:\\n((?: .*\\n|\\n)+)`, 'm').exec(yaml)?.[1] ?? '';
  return [...block.matchAll(/^ {2}([a-z-]+):/gm)].map(([, key]) => key);
}

/** Names in the first cells of a table below a heading. */
function rowsBelow(readme: string, heading: string): string[] {
  const part = readme.split(`## ${heading}\n`)[1].split('\n## ')[0];
  const cells = [...part.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell]) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name));
}

test('the bundle is what its sources make: npm run build:action makes it again', async () => {
  expect((await bundled()) === readFileSync(bundlePath, 'utf8')).toBe(true);
});

test('the bundle names no machine, and needs nothing but node', () => {
  const text = readFileSync(bundlePath, 'utf8');
  const imports = [...text.matchAll(/^import .* from "([^"]+)";$/gm)].map(([, from]) => from);
  const builtin = /^(node:.*|os|fs|crypto|path)$/;
  expect(imports.filter((from) => !builtin.test(from))).toEqual([]);
  expect(text).not.toMatch(/\brequire\(/);
  const paths = [...text.matchAll(/^\/\/ (\S+\.[jt]s)$/gm)].map(([, path]) => path);
  expect(paths.filter((path) => !/^(infra|api|node_modules)\//.test(path))).toEqual([]);
  expect(text.length).toBeLessThan(100_000);
});

test.each([
  ['Inputs', 'inputs'],
  ['Outputs', 'outputs'],
])('the README lists the %s of action.yml, and no other', (heading, key) => {
  const declared = keysBelow(file('action.yml'), key);
  expect(declared.length).toBeGreaterThan(7);
  expect(rowsBelow(file('README.md'), heading).sort()).toEqual(declared.sort());
});

test('the code reads the inputs of action.yml, and sets its outputs', () => {
  const read = new Set<string>();
  const some: Record<string, string> = { 'api-url': 'http://x', target: 't', snapshot: 's' };
  inputsOf((name) => {
    read.add(name);
    return some[name] ?? '';
  });
  expect([...read].sort()).toEqual(keysBelow(file('action.yml'), 'inputs').sort());
  const set = [...file('output.ts').matchAll(/setOutput\('([a-z-]+)'/g)].map(([, name]) => name);
  expect(set.sort()).toEqual(keysBelow(file('action.yml'), 'outputs').sort());
});

test('the example gives inputs that there are, and every one that is required', () => {
  const given = /\n {8}with:\n((?: {10}.*\n)+)/.exec(file('example.yml'))?.[1] ?? '';
  const names = [...given.matchAll(/^ {10}([a-z-]+):/gm)].map(([, name]) => name);
  const declared = keysBelow(file('action.yml'), 'inputs');
  expect(names.filter((name) => !declared.includes(name))).toEqual([]);
  expect(names).toEqual(expect.arrayContaining(['api-url', 'target']));
  expect(file('example.yml')).toContain('id-token: write');
});

test('no text of action.yml but a default holds an expression, which a runner would refuse', () => {
  const lines = file('action.yml').split('\n');
  const found = lines.filter((line) => /\$\{\{/.test(line));
  expect(found.map((line) => line.trim().replace('$', ''))).toEqual([
    'default: {{ github.token }}',
    'default: {{ toJSON(matrix) }}',
  ]);
});

test('exit codes mean what they mean on the command line', () => {
  expect(exitCodes).toEqual(ofCommandLine);
});
