#!/usr/bin/env node
// The command `counterweight` (package.json "bin"): makes Node read TypeScript, then becomes
// trainer/cli.ts. Plain JavaScript, because npx starts it with Node alone.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const cli = join(root, 'trainer', 'cli.ts');

try {
  const { register } = await import('tsx/esm/api');
  register();
} catch (error) {
  const why = existsSync(join(root, 'node_modules')) ? error.message : 'nothing is installed yet';
  process.stderr.write(`counterweight: cannot start (${why}); run: npm ci\n`);
  process.exit(1);
}
process.argv[1] = cli; // as if Node had been given this file
await import(pathToFileURL(cli).href);
