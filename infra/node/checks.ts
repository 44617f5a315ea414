// Runs the checks of `npm test` and `npm run check` one after the other, fast ones first, and stops
// at the first that fails. Arguments: names of stages, then `--` and what vitest is to be given.

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const modules = join(root, 'node_modules');
const biome = join(modules, '@biomejs', 'biome', 'bin', 'biome');
const vitest = [join(modules, 'vitest', 'vitest.mjs'), 'run', '--config', 'test/vitest.config.ts'];

/** Folders of tests that start processes, engines or browsers: left out of `unit`. */
const slowFolders = ['test/edge', 'test/demo', 'test/end-to-end', 'test/engines', 'test/stacks'];

/** Stage name to the arguments of node. */
const stages: Record<string, string[]> = {
  format: [biome, 'format', '.'],
  lint: [biome, 'lint', '--error-on-warnings', '.'],
  types: [join(modules, 'typescript', 'bin', 'tsc'), '--noEmit'],
  rules: [...vitest, 'test/house-rules', 'test/docs'],
  unit: [...vitest, ...slowFolders.flatMap((folder) => ['--exclude', `${folder}/**`])],
  tests: vitest,
  edge: [...vitest, '--project', 'edge'],
};

const given = process.argv.slice(2);
const dashes = given.includes('--') ? given.indexOf('--') : given.length;
const names = given.slice(0, dashes);
const more = given.slice(dashes + 1);
const unknown = names.find((name) => !(name in stages));
if (unknown !== undefined || names.length === 0) {
  process.stderr.write(`stages: ${Object.keys(stages).join(' ')}; not: ${unknown ?? 'none'}\n`);
  process.exit(2);
}

for (const name of names) {
  const started = Date.now();
  const forTests = ['tests', 'unit'].includes(name) ? more : [];
  const { status } = spawnSync(process.execPath, [...stages[name], ...forTests], {
    cwd: root,
    stdio: 'inherit',
  });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'passed' : 'FAILED'}: ${name} (${seconds} s)\n`);
  if (status !== 0) process.exit(status ?? 1);
}
