// What code may not contain: shapes (classes, enums, default exports), words, clocks, addresses.

import type { Rule } from './repository.ts';
import { findNodes, importsOf, isCode, lineAt, nameOf } from './syntax.ts';

const shapes = 'test/README.md, "Code"';

const classes: Rule = {
  name: 'no classes',
  written: shapes,
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        findNodes(file, 'ClassDeclaration', 'ClassExpression')
          .filter(({ node }) => nameOf(node.id) !== 'ProblemError' || file.path !== 'api/errors.ts')
          .map(({ node }) => ({
            path: file.path,
            line: lineAt(file.text, node.start),
            detail: `class ${nameOf(node.id) || '(unnamed)'}: a function and a type will do`,
          })),
      ),
};

const enums: Rule = {
  name: 'no enums',
  written: shapes,
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        findNodes(file, 'TSEnumDeclaration').map(({ node }) => ({
          path: file.path,
          line: lineAt(file.text, node.start),
          detail: `enum ${nameOf(node.id)}: write a union of strings`,
        })),
      ),
};

const defaultExports: Rule = {
  name: 'no default exports',
  written: shapes,
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        findNodes(file, 'ExportDefaultDeclaration').map(({ node }) => ({
          path: file.path,
          line: lineAt(file.text, node.start),
          detail: 'a default export has no name to search for',
        })),
      ),
};

const bareWords = /^(weights|sample|samples)$/i;

const words: Rule = {
  name: 'domain words',
  written: 'README.md, "Words"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) =>
        findNodes(file, 'Identifier')
          .filter(({ node }) => bareWords.test(node.name as string))
          .map(({ node }) => ({
            path: file.path,
            line: lineAt(file.text, node.start),
            detail: `bare "${node.name}": say score, target, draw probability, loss factor, parameters, case or draw`,
          })),
      ),
};

const timeless = /^api\/(weights|services|store)\//;
const clocks = ['Date.now', 'Math.random', 'performance.now', 'crypto.getRandomValues'];

const clock: Rule = {
  name: 'time and randomness are passed in',
  written: shapes,
  find: (files) =>
    files
      .filter(({ path }) => isCode(path) && timeless.test(path))
      .flatMap((file) =>
        findNodes(file, 'CallExpression', 'NewExpression', 'MemberExpression')
          .map(({ node }) => {
            const name = node.type === 'MemberExpression' ? nameOf(node) : nameOf(node.callee);
            const bare = (node.arguments as unknown[] | undefined)?.length === 0;
            const reads =
              node.type === 'MemberExpression'
                ? clocks.includes(name.replace(/^globalThis\./, ''))
                : name === 'Date' && (bare || node.type === 'CallExpression');
            return { reads, name, line: lineAt(file.text, node.start) };
          })
          .filter(({ reads }) => reads)
          .map(({ name, line }) => ({
            path: file.path,
            line,
            detail: `${name === 'Date' ? 'new Date()' : name} reads the world; take it from deps`,
          })),
      ),
};

const synchronous: Rule = {
  name: 'the method is synchronous',
  written: 'test/README.md, "Who may import whom"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path) && path.startsWith('api/weights/'))
      .flatMap((file) =>
        [
          ...findNodes(file, 'AwaitExpression'),
          ...findNodes(
            file,
            'FunctionDeclaration',
            'FunctionExpression',
            'ArrowFunctionExpression',
          ).filter(({ node }) => node.async === true),
          ...findNodes(file, 'Identifier').filter(({ node }) => node.name === 'Promise'),
        ].map(({ node }) => ({
          path: file.path,
          line: lineAt(file.text, node.start),
          detail: 'api/weights/ is pure arithmetic: nothing in it waits',
        })),
      ),
};

const machinePath = new RegExp(
  `(?<![\\w.~})-])/(${['work', 'root', 'home', 'Users'].join('|')})(?![\\w-])`,
);
const registryHost = new RegExp(
  ['registry\\.(npmjs|yarnpkg|npmmirror)', '"resolved" *: *"', '^\\s*registry\\s*='].join('|'),
);

const addresses: Rule = {
  name: 'no machine in the files',
  written: shapes,
  find: (files) =>
    files.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => {
        const found = line.match(machinePath)?.[0] ?? line.match(registryHost)?.[0];
        return found === undefined
          ? []
          : [{ path, line: index + 1, detail: `"${found.trim()}" is true on one machine only` }];
      }),
    ),
};

const testNames = ['test', 'it', 'describe', 'suite', 'bench'];
const testFile = /^test\/.*\.test\.ts$/;

const testFiles: Rule = {
  name: 'tests end in .test.ts',
  written: 'test/README.md, "How a test is written"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path))
      .flatMap((file) => {
        if (testFile.test(file.path)) return [];
        if (/([._](test|spec)\.[a-z]+|__tests__)/.test(file.path)) {
          return [{ path: file.path, line: 1, detail: 'would never run: test/**/*.test.ts' }];
        }
        const imported = importsOf(file)
          .filter(({ from, names }) =>
            from === 'node:test' ? true : from === 'vitest' && names.some(isTestName),
          )
          .map(({ line }) => line);
        const inTests = file.path.startsWith('test/');
        const called = (inTests ? findNodes(file, 'CallExpression') : [])
          .filter(({ node }) => isTestName(nameOf(node.callee)))
          .map(({ node }) => lineAt(file.text, node.start));
        return [...new Set([...imported, ...called])].map((line) => ({
          path: file.path,
          line,
          detail: 'defines tests outside a .test.ts file: export what a test file can run',
        }));
      }),
};

const isTestName = (name: string) => testNames.includes(name);

const focus: Rule = {
  name: 'no test is singled out',
  written: 'test/README.md, "How a test is written"',
  find: (files) =>
    files
      .filter(({ path }) => testFile.test(path))
      .flatMap((file) =>
        findNodes(file, 'MemberExpression')
          .filter(({ node }) => /^(test|it|describe)(\.\w+)*\.only$/.test(nameOf(node)))
          .map(({ node }) => ({
            path: file.path,
            line: lineAt(file.text, node.start),
            detail: `${nameOf(node)} leaves all other tests out`,
          })),
      ),
};

const sleeping: Rule = {
  name: 'no test sleeps',
  written: 'test/README.md, "How a test is written"',
  find: (files) =>
    files
      .filter(({ path }) => isCode(path) && path.startsWith('test/'))
      .flatMap((file) => [
        ...importsOf(file)
          .filter(({ from }) => from === 'node:timers/promises')
          .map(({ line }) => ({ path: file.path, line, detail: 'waits for the clock' })),
        ...findNodes(file, 'CallExpression')
          .filter(({ node }) => /^(globalThis\.)?setTimeout$/.test(nameOf(node.callee)))
          .filter(({ ancestors }) =>
            ancestors.some(
              (one) => one.type === 'NewExpression' && nameOf(one.callee) === 'Promise',
            ),
          )
          .map(({ node }) => ({
            path: file.path,
            line: lineAt(file.text, node.start),
            detail: 'sleeps: wait for what should happen (vi.waitFor), or pass in a clock',
          })),
      ]),
};

export const codeRules = [
  classes,
  enums,
  defaultExports,
  words,
  clock,
  synchronous,
  addresses,
  testFiles,
  focus,
  sleeping,
];
