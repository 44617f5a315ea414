// Every rule is shown a made-up checkout that breaks it, and one beside it that does not: a rule
// that cannot fail, or that fails on everything, holds nothing.

import { expect, test } from 'vitest';
import { type Exception, type RepositoryFile, shown, violationsOf } from './repository.ts';
import { rules } from './rules.ts';

type Mutant = { rule: string; path: string; bad: string; line?: number; fine: string };

const opening = '// What lives here.\n';
const at =
  (path: string, bad: string, fine: string, line = 2) =>
  (rule: string) => ({
    rule,
    path,
    bad: opening + bad,
    fine: opening + fine,
    line,
  });
const manyLines = (count: number) => 'x();\n'.repeat(count);

// Words that the rules forbid are put together here, so that this file does not break them itself.
const home = ['', 'home', 'someone'].join('/');
const resolved = ['resol', 'ved'].join('');
const registry = ['https://registry', 'npmjs', 'org'].join('.');

const table = {
  'no barrels': [
    at('api/services/all.ts', "export * from './jobs.ts';", 'export const all = 1;', 1),
    at('api/store/some.ts', "export { one } from './one.ts';", "import './one.ts';", 1),
  ],
  'import table': [
    at('api/contract/jobs.ts', "import '../errors.ts';", "import { z } from 'zod';"),
    at('api/contract/jobs.ts', "import 'hono';", "import './cases.ts';"),
    at(
      'api/weights/units.ts',
      "import { x } from '../contract/cases.ts';",
      "import type { X } from '../contract/cases.ts';",
    ),
    at(
      'api/weights/units.ts',
      "import { type X } from '../contract/cases.ts';",
      "import { sha256 } from '@noble/hashes/sha2.js';",
    ),
    at('api/weights/terms/match.ts', "import '../../store/cases.ts';", "import '../sums.ts';"),
    at('api/store/jobs.ts', "import '../services/jobs.ts';", "import '../ids.ts';"),
    at('api/store/jobs.ts', "import 'hono/jsx';", "import 'drizzle-orm/pg-core';"),
    at('api/launchers/docker.ts', "import '../store/jobs.ts';", "import '../errors.ts';"),
    at('api/services/jobs.ts', "import 'drizzle-orm';", "import 'canonicalize';"),
    at('api/services/jobs.ts', "import '../env.ts';", "import '../store/jobs.ts';"),
    at(
      'api/services/jobs/launch.ts',
      "await import('../../launchers/local.ts');",
      "import type { Launcher } from '../../launchers/launcher.ts';",
    ),
    at('api/http/auth.ts', "import '../services/access.ts';", "import 'hono/factory';"),
    at('api/routes/jobs.ts', "import '../store/jobs.ts';", "import '../services/jobs.ts';"),
    at('api/routes/jobs.ts', "import '../weights/draws.ts';", "import '../http/paging.ts';"),
    at(
      'api/routes/jobs.ts',
      "type Row = import('../store/jobs.ts').Row;",
      "type Row = import('../contract/jobs.ts').Row;",
    ),
    at('api/console/jobs.tsx', "export { x } from '../store/jobs.ts';", "import 'hono/jsx';"),
    at('api/ids.ts', "import './env.ts';", 'export const x = 1;'),
    at('trainer/main.ts', "import '../api/errors.ts';", "import '../api/weights/draws.ts';"),
    at(
      'trainer/agent/round.ts',
      "import '../../api/services/jobs/state.ts';",
      "import '../../api/launchers/launcher.ts';",
    ),
    at('trainer/commands/agent.ts', "import '../../api/env.ts';", "import '../agent/loop.ts';"),
    at('infra/action/main.ts', "import '../../api/ids.ts';", "import './inputs.ts';"),
  ],
  'launchers stand alone': [
    at('api/launchers/docker.ts', "import './local.ts';", "import './launch-key.ts';"),
    at('api/launchers/local-run.ts', "import './docker.ts';", "import './local.ts';"),
    at('api/launchers/slurm/submit.ts', "import '../agent/x.ts';", "import './script.ts';"),
  ],
  'node: only in Node files': [
    at('api/app.ts', "import 'node:fs';", "import 'hono';"),
    at('api/ids.ts', "const c = await import('crypto');", 'const c = crypto;'),
    at('api/launchers/locality.ts', "import 'node:fs';", 'x();'),
    at('api/launchers/slurm.ts', "import 'node:net';", "import '../errors.ts';"),
  ],
  'packages are declared': [
    at('api/http/auth.ts', "import 'left-pad';", "import 'hono/utils/jwt';"),
    at('api/worker.ts', "import 'vitest';", "import '@noble/hashes/sha2.js';"),
    at('test/x.test.ts', "import 'left-pad';", "import 'vitest';"),
  ],
  'the installer needs nothing installed': [
    at('infra/node/install.mjs', "import 'tsx/esm/api';", "import 'node:fs';"),
  ],
  'no classes': [
    at('api/http/auth.ts', 'class Guard {}', 'const guard = {};'),
    at('api/http/auth.ts', 'export class ProblemError {}', 'type Guard = 1;'),
    at('trainer/loss.ts', 'const Loss = class {};', 'const loss = () => {};'),
  ],
  'no enums': [at('api/contract/jobs.ts', 'enum State { On }', "type State = 'on';")],
  'no default exports': [at('trainer/loss.ts', 'export default 1;', 'export const one = 1;')],
  'domain words': [
    at('trainer/loss.ts', 'const weights = [];', 'const layerWeights = [];'),
    at('trainer/loss.ts', 'f({ sample: 1 });', "f('sample weights'); // a sample"),
    at('trainer/loss.ts', 'type Weights = 1;', "import '../api/weights/draws.ts';"),
  ],
  'time and randomness are passed in': [
    at('api/services/jobs.ts', 'Date.now();', 'deps.now();'),
    at('api/store/jobs.ts', 'new Date();', 'new Date(row.createdAt);'),
    at('api/weights/units.ts', 'f(Math.random);', 'Math.floor(1);'),
    at('api/services/jobs.ts', 'globalThis.crypto.getRandomValues(a);', 'deps.randomBytes(1);'),
  ],
  'the method is synchronous': [
    at('api/weights/digest.ts', 'async function f() {}', 'function f() {}'),
    at('api/weights/digest.ts', 'type P = Promise<number>;', 'type P = number;'),
  ],
  'no machine in the files': [
    at('infra/README.md', `cd ${home}`, 'cd counterweight'),
    at('trainer/data.ts', `f('${home}/x');`, "f('a/home/x', '/v1/jobs');"),
    at('.npmrc', `registry=${registry}/`, 'save-exact=true'),
    at('package-lock.json', `"${resolved}": "${registry}/x.tgz"`, '"integrity": "sha512-x"'),
  ],
  'tests end in .test.ts': [
    at('test/support/app.ts', "import { test } from 'vitest';", "import { vi } from 'vitest';"),
    at('test/support/app.ts', "describe('x', () => {});", "/x/.test('x');"),
    at('test/app.spec.ts', '', 'x();', 1),
    at('api/app.test.ts', '', 'x();', 1),
    at('test/support/app.ts', "import 'node:test';", "import 'node:assert';"),
  ],
  'no test is singled out': [
    at('test/x.test.ts', "test.only('x', () => {});", "test('x', () => {});"),
  ],
  'no test sleeps': [
    at(
      'test/x.test.ts',
      'await new Promise((resolve) => setTimeout(resolve, 50));',
      'await vi.waitFor(() => done());',
    ),
    at(
      'test/support/app.ts',
      "import { setTimeout } from 'node:timers/promises';",
      'const timer = setTimeout(() => child.kill(), 1000);',
    ),
  ],
  'file size': [at('trainer/loss.ts', manyLines(300), manyLines(299), 301)],
  'function size': [
    at('trainer/loss.ts', `function f() {\n${manyLines(59)}}`, `function f() {\n${manyLines(58)}}`),
    at(
      'test/x.test.ts',
      `test('x', () => {\n${manyLines(59)}});`,
      `describe.skipIf(no)('x', () => {\n${manyLines(59)}});`,
    ),
  ],
  columns: [
    at('trainer/loss.ts', `// ${'x'.repeat(98)}`, `const x = '${'x'.repeat(120)}';`),
    at('migrations/0002_x.sql', 'x'.repeat(101), 'x'.repeat(100)),
  ],
} satisfies Record<string, ((rule: string) => Mutant)[]>;

const lockOf = (packages: object) => ({
  path: 'package-lock.json',
  text: JSON.stringify({ packages }),
});
const sayNothing = { path: 'api/x.ts', text: `${opening}x();` };
/** Rules on paths: the bad checkout's files, where it is found, and the good one's files. */
const paths: Record<string, [bad: RepositoryFile[], found: string, fine: RepositoryFile[]][]> = {
  'top level': [
    [[{ path: 'docs/a.md', text: '' }], 'docs/a.md:1', [{ path: '.ci/run', text: '' }]],
  ],
  'kebab-case': [
    [[{ ...sayNothing, path: 'api/ruleSets.ts' }], 'api/ruleSets.ts:1', [sayNothing]],
    [
      [{ path: 'trainer/nnunet/MyPlan.py', text: '' }],
      'trainer/nnunet/MyPlan.py:1',
      [
        { path: 'trainer/nnunet/my_plan.py', text: '' },
        { path: 'migrations/0001_core.sql', text: '' },
      ],
    ],
  ],
  'telling names': [
    [[{ ...sayNothing, path: 'api/http/utils.ts' }], 'api/http/utils.ts:1', [sayNothing]],
    [
      [{ ...sayNothing, path: 'trainer/job-manager.ts' }],
      'trainer/job-manager.ts:1',
      [{ ...sayNothing, path: 'api/store/database.ts' }],
    ],
  ],
  'no barrels': [[[{ ...sayNothing, path: 'api/index.ts' }], 'api/index.ts:1', [sayNothing]]],
  'every folder has a README': [
    [
      [sayNothing],
      'api/README.md:1',
      [sayNothing, { path: 'api/README.md', text: '# x\n\n## Why it is this way\n' }],
    ],
    [
      [sayNothing, { path: 'api/README.md', text: '# Why it is this way\n\n## Later\n' }],
      'api/README.md:3',
      [{ path: 'test/routes/jobs.test.ts', text: opening }],
    ],
    [
      [sayNothing, { path: 'api/README.md', text: '## Why it is this way\n'.repeat(121) }],
      'api/README.md:121',
      [],
    ],
  ],
  'the app reaches no Node file': [
    [
      [
        { path: 'api/app.ts', text: "import './jobs.ts';" },
        { path: 'api/jobs.ts', text: "await import('./launchers/local.ts');" },
        { path: 'api/launchers/local.ts', text: '' },
      ],
      'api/launchers/local.ts:1',
      [
        { path: 'api/app.ts', text: "import type { X } from './launchers/local.ts';" },
        { path: 'api/launchers/local.ts', text: '' },
      ],
    ],
  ],
  'the lock file is whole': [
    [
      [lockOf({ 'node_modules/a': { optionalDependencies: { 'a-darwin': '1' } } })],
      'package-lock.json:1',
      [lockOf({ 'node_modules/a': { optionalDependencies: { b: '1' } }, 'x/node_modules/b': {} })],
    ],
  ],
  'a file says what it is': [
    [
      [{ path: 'api/x.ts', text: 'x();' }],
      'api/x.ts:1',
      [sayNothing, { path: 'test/replay/replay.py', text: '#!/usr/bin/env python3\n"""What."""' }],
    ],
    [[{ path: 'api/x.ts', text: `${opening.repeat(5)}\nx();` }], 'api/x.ts:1', [sayNothing]],
  ],
};

const manifest = {
  path: 'package.json',
  text: JSON.stringify({
    dependencies: { hono: '1', '@noble/hashes': '1' },
    devDependencies: { vitest: '1' },
  }),
};

const ruleNamed = (name: string) => {
  const rule = rules.find((one) => one.name === name);
  if (rule === undefined) throw new Error(`there is no rule "${name}"`);
  return rule;
};

const places = (rule: string, files: RepositoryFile[]) =>
  ruleNamed(rule)
    .find(files)
    .map(({ path, line }) => `${path}:${line}`);

const mutants = Object.entries(table).flatMap(([rule, made]) => made.map((make) => make(rule)));

test.each(mutants)('$rule: catches a bad $path', ({ rule, path, bad, fine, line }) => {
  expect(places(rule, [manifest, { path, text: bad }])).toContain(`${path}:${line}`);
  const neighbour = path.replace(/\.spec\.ts$|^api\/app\.test\.ts$/, '.ts');
  expect(places(rule, [manifest, { path: neighbour, text: fine }])).toEqual([]);
});

const pathMutants = Object.entries(paths).flatMap(([rule, ones]) =>
  ones.map(([bad, found, fine]) => ({ rule, bad, found, fine })),
);

test.each(pathMutants)('$rule: catches $found', ({ rule, bad, found, fine }) => {
  expect(places(rule, bad)).toContain(found);
  expect(places(rule, fine)).toEqual([]);
});

test('every rule has a mutant', () => {
  const shownToFail = new Set([...mutants, ...pathMutants].map(({ rule }) => rule));
  expect(rules.map(({ name }) => name).filter((name) => !shownToFail.has(name))).toEqual([]);
});

test('an exception excuses what it names, up to its size, and is reported when idle', () => {
  const sizeRules = [ruleNamed('file size')];
  const files = [{ path: 'api/x.ts', text: manyLines(310) }];
  const exception: Exception = { rule: 'file size', path: 'api/x.ts', reason: 'r', upTo: 310 };
  expect(violationsOf(sizeRules, files, [exception])).toEqual([]);

  const grown = [{ path: 'api/x.ts', text: manyLines(311) }];
  const afterGrowth = violationsOf(sizeRules, grown, [exception]);
  expect(afterGrowth.map(({ rule }) => rule)).toEqual(['file size', 'exceptions are needed']);

  const idle = violationsOf(sizeRules, [], [exception]);
  expect(idle.map((one) => shown(one, rules))).toEqual([
    'test/house-rules/exceptions.ts:1: api/x.ts no longer breaks "file size": take its exception out [exceptions are needed; test/README.md]',
  ]);
});

test('a message says where, what, and where the rule is written', () => {
  const [first] = violationsOf(rules, [{ path: 'docs/a.md', text: '' }], []);
  expect(shown(first, rules)).toBe(
    'docs/a.md:1: docs has no place at the top level [top level; test/README.md, "Names and folders"]',
  );
});
