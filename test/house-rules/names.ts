// Files and folders: what they are called and which of them there may be.

import type { RepositoryFile, Rule } from './repository.ts';
import { isCode, programOf, type SyntaxNode } from './syntax.ts';

const topLevel = new Set([
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'LICENSE',
  'README.md',
  'api',
  'trainer',
  'migrations',
  'infra',
  'test',
]);

const written = 'test/README.md, "Names and folders"';

const firstOf = (files: RepositoryFile[], segment: string) =>
  files.find(({ path }) => path === segment || path.startsWith(`${segment}/`))?.path ?? segment;

const top: Rule = {
  name: 'top level',
  written,
  find: (files) =>
    [...new Set(files.map(({ path }) => path.split('/')[0]))]
      .filter((segment) => !segment.startsWith('.') && !topLevel.has(segment))
      .map((segment) => ({
        path: firstOf(files, segment),
        line: 1,
        detail: `${segment} has no place at the top level`,
      })),
};

const fixedNames = new Set(['README.md', 'LICENSE', 'Dockerfile', 'Makefile', 'METHOD.md']);
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

function isWellNamed(segment: string): boolean {
  if (fixedNames.has(segment) || segment.startsWith('.')) return true;
  if (/\.sql$/.test(segment)) return /^\d{4}_[a-z0-9_]+\.sql$/.test(segment);
  if (/\.py$/.test(segment)) return /^[a-z0-9_]+\.py$/.test(segment);
  return kebab.test(segment);
}

const kebabCase: Rule = {
  name: 'kebab-case',
  written,
  find: (files) =>
    files.flatMap(({ path }) => {
      const wrong = path.split('/').find((segment) => !isWellNamed(segment));
      return wrong === undefined
        ? []
        : [{ path, line: 1, detail: `"${wrong}" is not kebab-case (SQL and Python: snake_case)` }];
    }),
};

const saysNothing = ['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'base'];

const telling: Rule = {
  name: 'telling names',
  written,
  find: (files) =>
    files.flatMap(({ path }) => {
      const words = path.split('/').flatMap((segment) => segment.split(/[.\-_]/));
      const word = words.find((one) => saysNothing.includes(one));
      return word === undefined
        ? []
        : [{ path, line: 1, detail: `"${word}" does not say what is in it: name the thing` }];
    }),
};

function onlyPassesOn(body: SyntaxNode[]): boolean {
  const passing = body.filter(
    ({ type, source }) => type === 'ExportAllDeclaration' || (isExport(type) && source !== null),
  );
  const rest = body.filter((node) => !passing.includes(node) && node.type !== 'ImportDeclaration');
  return passing.length > 0 && rest.length === 0;
}

const isExport = (type: string) => type === 'ExportNamedDeclaration';

const barrels: Rule = {
  name: 'no barrels',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .filter(
        (file) =>
          /(^|\/)index\.[a-z]+$/.test(file.path) ||
          onlyPassesOn(programOf(file).body as SyntaxNode[]),
      )
      .map(({ path }) => ({
        path,
        line: 1,
        detail: 'no index files and no files that only re-export: import from where it is written',
      })),
};

const sourceFile = /\.(ts|tsx|mts|mjs|js|py|sql)$/;
const lastHeading = 'Why it is this way';
const pageLines = 120;

const folderOf = (path: string) => path.split('/').slice(0, -1).join('/');

/** Folders that mirror the tree and hold nothing but tests are described by test/README.md. */
function isDescribedElsewhere(folder: string, files: RepositoryFile[]): boolean {
  if (folder.startsWith('.')) return true;
  const own = files.filter(({ path }) => folderOf(path) === folder && sourceFile.test(path));
  return folder.startsWith('test/') && own.every(({ path }) => path.endsWith('.test.ts'));
}

const readmes: Rule = {
  name: 'every folder has a README',
  written,
  find: (files) => {
    const folders = new Set(
      files.filter(({ path }) => sourceFile.test(path)).map(({ path }) => folderOf(path)),
    );
    return [...folders]
      .filter((folder) => !isDescribedElsewhere(folder, files))
      .flatMap((folder) => {
        const path = folder === '' ? 'README.md' : `${folder}/README.md`;
        const readme = files.find((file) => file.path === path);
        return readme === undefined
          ? [{ path, line: 1, detail: 'is missing' }]
          : readmeFaults(readme);
      });
  },
};

function readmeFaults({ path, text }: RepositoryFile) {
  const lines = text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ''));
  const headings = lines.split('\n').filter((line) => /^#{1,6} /.test(line));
  const last = headings.at(-1)?.replace(/^#+ /, '');
  const count = text.trimEnd().split('\n').length;
  return [
    ...(last === lastHeading
      ? []
      : [{ path, line: count, detail: `the last heading must be "${lastHeading}"` }]),
    ...(path === 'README.md' || count <= pageLines
      ? []
      : [{ path, line: count, detail: `${count} lines are more than a page`, measured: count }]),
  ];
}

export const nameRules = [top, kebabCase, telling, barrels, readmes];
