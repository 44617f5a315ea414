// Sizes: lines of a file, lines of a function, columns of a line, and how a file opens.

import type { RepositoryFile, Rule } from './repository.ts';
import { findNodes, isCode, lineAt, nameOf, type SyntaxNode } from './syntax.ts';

const written = 'test/README.md, "Sizes"';
const source = /(\.(ts|tsx|mts|mjs|js|py|sql|sh)|^\.ci\/run)$/;

export const limits = { fileLines: 300, functionLines: 60, columns: 100, openingLines: 4 };

const linesOf = (text: string) => text.trimEnd().split('\n');

const fileSize: Rule = {
  name: 'file size',
  written,
  find: (files) =>
    files
      .filter(({ path }) => source.test(path))
      .map(({ path, text }) => ({ path, measured: linesOf(text).length }))
      .filter(({ measured }) => measured > limits.fileLines)
      .map(({ path, measured }) => ({
        path,
        measured,
        line: limits.fileLines + 1,
        detail: `${measured} lines, over ${limits.fileLines}: what belongs in a file of its own?`,
      })),
};

// A describe block is an outline of tests, not a function that somebody has to follow.
function isOutline(ancestors: SyntaxNode[]): boolean {
  const call = ancestors.at(-1);
  if (call?.type !== 'CallExpression') return false;
  const callee = call.callee as SyntaxNode;
  const inner = callee.type === 'CallExpression' ? callee.callee : callee;
  return nameOf(inner).split('.')[0] === 'describe';
}

function functionName(node: SyntaxNode, ancestors: SyntaxNode[]): string {
  const parent = ancestors.at(-1);
  return nameOf(node.id) || nameOf(parent?.id) || nameOf(parent?.key) || 'a function';
}

const functionSize: Rule = {
  name: 'function size',
  written,
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        findNodes(file, 'FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression')
          .filter(({ ancestors }) => !isOutline(ancestors))
          .map(({ node, ancestors }) => {
            const line = lineAt(file.text, node.start);
            const measured = lineAt(file.text, node.end) - line + 1;
            const name = functionName(node, ancestors);
            return { path: file.path, line, measured, name };
          })
          .filter(({ measured }) => measured > limits.functionLines)
          .map(({ name, ...where }) => ({
            ...where,
            detail: `${name} has ${where.measured} lines, over ${limits.functionLines}`,
          })),
      ),
};

/** Lines on which a string, template or regular expression crosses the limit: not breakable. */
function unbreakable(file: RepositoryFile): Set<number> {
  if (!isCode(file.path)) return new Set();
  const found = new Set<number>();
  for (const { node } of findNodes(file, 'Literal', 'TemplateLiteral', 'TemplateElement')) {
    if (node.type === 'Literal' && typeof node.value === 'number') continue;
    const from = lineAt(file.text, node.start);
    const to = lineAt(file.text, node.end);
    for (let line = from; line <= to; line += 1) found.add(line);
  }
  return found;
}

const columns: Rule = {
  name: 'columns',
  written,
  find: (files) =>
    files
      .filter(({ path }) => source.test(path))
      .flatMap((file) => {
        const long = linesOf(file.text)
          .map((text, index) => ({ line: index + 1, measured: [...text].length }))
          .filter(({ measured }) => measured > limits.columns);
        if (long.length === 0) return [];
        const excused = unbreakable(file);
        return long
          .filter(({ line }) => !excused.has(line))
          .map(({ line, measured }) => ({
            path: file.path,
            line,
            measured,
            detail: `${measured} columns, over ${limits.columns}`,
          }));
      }),
};

function openingFault(text: string): string | undefined {
  const lines = text.split('\n');
  const first = lines[0]?.startsWith('#!') ? 1 : 0;
  const opening = lines.slice(first);
  const count = opening.findIndex((line) => !/^(\/\/|--|#)/.test(line));
  if (count === 0 && !/^("""|\/\*)/.test(opening[0] ?? '')) {
    return 'a file opens with one to four lines on what lives here';
  }
  return count > limits.openingLines ? `opens with ${count} lines, over four` : undefined;
}

const opening: Rule = {
  name: 'a file says what it is',
  written: 'test/README.md, "Sizes"',
  find: (files) =>
    files
      .filter(({ path }) => source.test(path))
      .flatMap(({ path, text }) => {
        const detail = openingFault(text);
        return detail === undefined ? [] : [{ path, line: 1, detail }];
      }),
};

export const sizeRules = [fileSize, functionSize, columns, opening];
