// The rules of the house, run over every file that git does not ignore. Each rule has mutants in
// house-rules/mutants.test.ts, which prove that it can fail.

import { expect, test } from 'vitest';
import { exceptions } from './house-rules/exceptions.ts';
import { repositoryFiles, shown, violationsOf } from './house-rules/repository.ts';
import { rules } from './house-rules/rules.ts';

const files = repositoryFiles();
const violations = violationsOf(rules, files, exceptions);

test('looks at the whole checkout', () => {
  expect(files.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['package.json', 'README.md', 'api/app.ts', 'trainer/main.ts']),
  );
});

test.each(rules.map(({ name }) => name))('holds: %s', (name) => {
  const broken = violations.filter(({ rule }) => rule === name);
  expect(broken.map((violation) => shown(violation, rules))).toEqual([]);
});

test('has no exception that nothing needs', () => {
  const idle = violations.filter(({ rule }) => !rules.some(({ name }) => name === rule));
  expect(idle.map((violation) => shown(violation, rules))).toEqual([]);
});
