// The files that the house rules look at: those git tracks, or would track if they were added.
// Rules are pure functions over such files, so a mutant is a made-up file.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export type RepositoryFile = { path: string; text: string };

export type Violation = {
  rule: string;
  path: string;
  line: number;
  detail: string;
  /** What was measured, where the rule is a size; exceptions allow up to a number. */
  measured?: number;
};

/** A rule of the house: its name, where it is written, and how a breach of it is found. */
export type Rule = {
  name: string;
  written: string;
  find: (files: RepositoryFile[]) => Omit<Violation, 'rule'>[];
};

export const root = resolve(import.meta.dirname, '..', '..');

/** Paths of all files in the checkout that git does not ignore, in order. */
export function repositoryPaths(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '-c', '-o', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const paths = [...new Set(listed.split('\0').filter((path) => path !== ''))];
  return paths.filter((path) => existsSync(join(root, path))).sort();
}

/** Made by a command from files that keep the rules; tests compare it with what would be made. */
const made = ['infra/action/dist/index.mjs'];

/** The text files of the checkout; a file with a NUL byte is taken as binary and left out. */
export function repositoryFiles(): RepositoryFile[] {
  return repositoryPaths()
    .filter((path) => !made.includes(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
    .filter(({ text }) => !text.includes('\0'));
}

/** Breaches of all rules, after the exceptions; an exception that nothing needs is one itself. */
export function violationsOf(
  rules: Rule[],
  files: RepositoryFile[],
  exceptions: Exception[],
): Violation[] {
  const found = rules.flatMap((rule) =>
    rule.find(files).map((violation) => ({ rule: rule.name, ...violation })),
  );
  const kept = found.filter((violation) => !exceptions.some((one) => excuses(one, violation)));
  const idle = exceptions.filter((one) => !found.some((violation) => excuses(one, violation)));
  return [
    ...kept,
    ...idle.map(({ rule, path }) => ({
      rule: 'exceptions are needed',
      path: 'test/house-rules/exceptions.ts',
      line: 1,
      detail: `${path} no longer breaks "${rule}": take its exception out`,
    })),
  ];
}

/** A breach that is allowed, and why. `upTo` bounds a size, `about` picks by the detail's text. */
export type Exception = {
  rule: string;
  path: string;
  reason: string;
  upTo?: number;
  about?: string;
};

function excuses(exception: Exception, violation: Violation): boolean {
  return (
    exception.rule === violation.rule &&
    exception.path === violation.path &&
    (exception.upTo === undefined || (violation.measured ?? Infinity) <= exception.upTo) &&
    (exception.about === undefined || violation.detail.includes(exception.about))
  );
}

/** One line for people: where, what, and where the rule is written. */
export function shown(violation: Violation, rules: Rule[]): string {
  const rule = rules.find(({ name }) => name === violation.rule);
  const written = rule === undefined ? 'test/README.md' : rule.written;
  return `${violation.path}:${violation.line}: ${violation.detail} [${violation.rule}; ${written}]`;
}
