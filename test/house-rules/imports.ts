// Who may import whom, and where node: may appear.

import { builtinModules } from 'node:module';
import type { RepositoryFile, Rule } from './repository.ts';
import { type Import, importsOf, isCode } from './syntax.ts';

/** A row of the import table: which paths of ours and which packages a folder may import. */
type Row = {
  folder: string;
  /** Path prefixes of ours, the folder itself aside. */
  may: string[];
  /** Path prefixes of which only types may be imported. */
  mayTypes?: string[];
  /** Packages; undefined leaves the choice free. */
  packages?: string[];
};

const hono = ['hono', '@hono/zod-openapi'];
const drivers = ['pg', '@electric-sql/pglite', '@neondatabase/serverless'];
const digests = ['@noble/hashes', 'canonicalize'];

/** The table of test/README.md, "Who may import whom". The first row that fits a path holds. */
export const importTable: Row[] = [
  { folder: 'api/contract/', may: [], packages: ['zod'] },
  {
    folder: 'api/weights/',
    may: [],
    mayTypes: ['api/contract/'],
    packages: ['@marcbachmann/cel-js', ...digests],
  },
  {
    folder: 'api/store/',
    may: ['api/contract/', 'api/errors.ts', 'api/ids.ts'],
    packages: ['drizzle-orm', ...drivers],
  },
  {
    folder: 'api/launchers/',
    may: ['api/contract/', 'api/errors.ts'],
    packages: ['zod', 'aws4fetch'],
  },
  {
    folder: 'api/services/',
    may: [
      'api/weights/',
      'api/store/',
      'api/launchers/launcher.ts',
      'api/contract/',
      'api/errors.ts',
      'api/ids.ts',
    ],
    mayTypes: ['api/deps.ts'],
    packages: [...digests, 'diff', 'ipaddr.js', 'jose'],
  },
  {
    folder: 'api/http/',
    may: ['api/contract/', 'api/errors.ts', 'api/ids.ts'],
    mayTypes: ['api/deps.ts'],
    packages: [...hono, '@streamparser/json', 'ipaddr.js'],
  },
  ...['api/routes/', 'api/console/'].map((folder) => ({
    folder,
    may: ['api/http/', 'api/services/', 'api/contract/', 'api/errors.ts'],
    mayTypes: ['api/deps.ts'],
    packages: hono,
  })),
  { folder: 'api/errors.ts', may: [], packages: [] },
  { folder: 'api/ids.ts', may: [], packages: digests },
  {
    folder: 'trainer/agent/',
    may: ['trainer/', 'api/contract/', 'api/launchers/', 'api/errors.ts', 'api/env.ts'],
  },
  { folder: 'trainer/', may: ['api/contract/', 'api/weights/'] },
  { folder: 'infra/action/', may: ['api/contract/', 'api/weights/'] },
];

const builtins = new Set(builtinModules);
const isNode = (from: string) => from.startsWith('node:') || builtins.has(from);

/** `@scope/name/sub` and `name/sub` to the package's name. */
export function packageOf(from: string): string {
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
}

function refusal(row: Row, one: Import): string | undefined {
  if (one.path !== undefined) {
    if ([row.folder, ...row.may].some((prefix) => one.path?.startsWith(prefix))) return undefined;
    const types = row.mayTypes?.some((prefix) => one.path?.startsWith(prefix)) ?? false;
    if (types && one.typeOnly) return undefined;
    const hint = types ? '; its types only: write `import type`' : '';
    return `${row.folder} may not import ${one.path}${hint}`;
  }
  if (isNode(one.from) || row.packages === undefined) return undefined;
  if (row.packages.includes(packageOf(one.from))) return undefined;
  return `${row.folder} may not import the package ${packageOf(one.from)}`;
}

const table: Rule = {
  name: 'import table',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) => {
        const row = importTable.find(({ folder }) => file.path.startsWith(folder));
        if (row === undefined) return [];
        return importsOf(file).flatMap((one) => {
          const detail = refusal(row, one);
          return detail === undefined ? [] : [{ path: file.path, line: one.line, detail }];
        });
      }),
};

const engines = ['local', 'docker', 'slurm', 'kubernetes', 'aws-batch', 'agent'];
const engineOf = (path: string) => {
  const inside = path.match(/^api\/launchers\/([a-z-]+)/)?.[1];
  return engines.find((engine) => inside === engine || inside?.startsWith(`${engine}-`));
};

const engineFiles: Rule = {
  name: 'launchers stand alone',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path) && engineOf(path) !== undefined)
      .flatMap((file) =>
        importsOf(file)
          .filter(({ path = '' }) => ![undefined, engineOf(file.path)].includes(engineOf(path)))
          .map((one) => ({
            path: file.path,
            line: one.line,
            detail: `one launcher may not import another (${one.path})`,
          })),
      ),
};

const mayUseNode =
  /^(api\/(node|migrate)\.ts|api\/node\/.*|api\/launchers\/(local|docker)([-./].*)|(trainer|infra|test)\/.*)$/;

const nodeOnly: Rule = {
  name: 'node: only in Node files',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path) && !mayUseNode.test(path))
      .flatMap((file) =>
        importsOf(file)
          .filter(({ from }) => isNode(from))
          .map(({ from, line }) => ({
            path: file.path,
            line,
            detail: `${from} cannot be imported here: this file also runs in workerd`,
          })),
      ),
};

/** Value imports, followed from the two files that workerd loads. */
function reachable(files: RepositoryFile[]): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const waiting = ['api/app.ts', 'api/worker.ts'];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = byPath.get(path);
    if (file === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const one of importsOf(file)) {
      if (one.path !== undefined && !one.typeOnly) waiting.push(one.path);
    }
  }
  return seen;
}

const edge: Rule = {
  name: 'the app reaches no Node file',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    [...reachable(files)]
      .filter((path) => mayUseNode.test(path))
      .map((path) => ({
        path,
        line: 1,
        detail: 'api/app.ts or api/worker.ts imports this, directly or through others',
      })),
};

const declared: Rule = {
  name: 'packages are declared',
  written: 'test/README.md, "Who may import whom"',
  find: (files) => {
    const manifest = files.find(({ path }) => path === 'package.json');
    if (manifest === undefined) return [];
    const { dependencies = {}, devDependencies = {} } = JSON.parse(manifest.text);
    return files
      .filter(({ path }) => isCode(path) && !/^trainer\/gpu\//.test(path))
      .flatMap((file) => {
        const development = /^(test|infra)\//.test(file.path);
        const known = { ...dependencies, ...(development ? devDependencies : {}) };
        return importsOf(file)
          .filter(({ from, path }) => path === undefined && !isNode(from))
          .filter(({ from }) => !(packageOf(from) in known))
          .map(({ from, line }) => ({
            path: file.path,
            line,
            detail: `${packageOf(from)} is not in package.json's ${
              development ? 'dependencies or devDependencies' : 'dependencies'
            }`,
          }));
      });
  },
};

const installer: Rule = {
  name: 'the installer needs nothing installed',
  written: 'infra/node/README.md, "Why it is this way"',
  find: (files) =>
    files
      .filter(({ path }) => path === 'infra/node/install.mjs')
      .flatMap((file) =>
        importsOf(file)
          .filter(({ from }) => !isNode(from))
          .map(({ from, line }) => ({
            path: file.path,
            line,
            detail: `${from} is not there yet when this file runs`,
          })),
      ),
};

type Locked = Record<string, Record<'dependencies' | 'optionalDependencies', object | undefined>>;

const lockFile: Rule = {
  name: 'the lock file is whole',
  written: 'infra/node/README.md, "The lock file"',
  find: (files) =>
    files
      .filter(({ path }) => path === 'package-lock.json')
      .flatMap(({ path, text }) => {
        const packages = (JSON.parse(text).packages ?? {}) as Locked;
        const locked = new Set(
          Object.keys(packages).map((key) => key.replace(/^.*node_modules\//, '')),
        );
        return Object.entries(packages).flatMap(([key, one]) =>
          Object.keys({ ...one.dependencies, ...one.optionalDependencies })
            .filter((name) => !locked.has(name))
            .map((name) => ({
              path,
              line: 1,
              detail: `${name}, which ${key} asks for, is missing`,
            })),
        );
      }),
};

export const importRules = [table, engineFiles, nodeOnly, edge, declared, installer, lockFile];
