// Bundles the action into the one file that a runner starts: `npm run build:action`. The file is
// committed, and a test builds it again and compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..', '..');
export const bundlePath = join(import.meta.dirname, 'dist', 'index.mjs');

// Its index also exports a client of HTTP, of which nothing is used: 770 kB.
const unusedParts: Plugin = {
  name: 'leaves out what is not used of @actions',
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^@actions\/(exec|http-client)/ }, async ({ path, ...rest }) => {
      if (rest.pluginData === 'resolved') return undefined;
      const options = { kind: rest.kind, resolveDir: rest.resolveDir, pluginData: 'resolved' };
      return { ...(await resolve(path, options)), sideEffects: false };
    });
  },
};

/** The bundle's text; the same bytes on every machine. */
export async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['infra/action/main.ts'],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    preserveSymlinks: true, // names in the bundle are those of this checkout
    legalComments: 'inline',
    plugins: [unusedParts],
    footer: { js: licenseOf('@actions/core') },
    banner: { js: '// Made by npm run build:action from infra/action/main.ts; not to be edited.' },
  });
  return outputFiles[0].text;
}

function licenseOf(name: string): string {
  const text = readFileSync(join(root, 'node_modules', name, 'LICENSE.md'), 'utf8');
  return `/*\nHolds parts of ${name}, whose license is:\n\n${text.trim()}\n*/`;
}

if (process.argv[1] === import.meta.filename) {
  const text = await bundled();
  writeFileSync(bundlePath, text);
  process.stdout.write(`${relative(root, bundlePath)}: ${(text.length / 1000).toFixed(0)} kB\n`);
}
