// What must be documented, where, and how a mention looks: pure functions over names and texts.

import { openApiDocument } from '../../api/app.ts';
import { settingNames } from '../../api/contract/settings.ts';
import { problemKinds } from '../../api/errors.ts';
import { termKinds } from '../../api/weights/terms/registry.ts';
import type { RepositoryFile } from '../house-rules/repository.ts';
import { findNodes, isCode, nameOf, type SyntaxNode } from '../house-rules/syntax.ts';

export type Topic = {
  what: string;
  readme: string;
  names: string[];
  /** The text of a mention. */
  mention: (name: string) => string;
  /** Everything the README's tables claim to exist, where a table lists just this. */
  claimed?: (text: string) => string[];
};

const ticks = (name: string) => `\`${name}\``;

/** Names whose mention is not in the text. */
export function missingIn(text: string, topic: Topic): string[] {
  const narrow = text.replaceAll(/ +/g, ' '); // tables may be padded
  return topic.names.filter((name) => !narrow.includes(topic.mention(name)));
}

/** Claims of the text for which there is nothing. */
export function staleIn(text: string, topic: Topic): string[] {
  return (topic.claimed?.(text) ?? []).filter((name) => !topic.names.includes(name));
}

/** The first cells, in backticks, of the table rows below a heading (or of the whole text). */
export function firstCells(text: string, heading?: string): string[] {
  const from = heading === undefined ? 0 : text.indexOf(`\n## ${heading}\n`);
  const after = text.slice(Math.max(from, 0)).replace(/^\n## .*\n/, '');
  const part = heading === undefined ? after : after.split(/^## /m)[0];
  return [...part.matchAll(/^\| *`([^`]+)` *\|/gm)].map((row) => row[1]);
}

export function routeNames(app: Parameters<typeof openApiDocument>[0]): string[] {
  const { paths = {} } = openApiDocument(app, 'test') as { paths?: Record<string, object> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** Engines that have a file or a folder in api/launchers/. */
export function launcherNames(paths: string[], engines: readonly string[]): string[] {
  return engines.filter((engine) =>
    paths.some((path) => new RegExp(`^api/launchers/${engine}(\\.ts$|/)`).test(path)),
  );
}

/** Names given to commander, as `.command('name ...')` or `new Command('name')`. */
export function commandNames(files: RepositoryFile[]): string[] {
  const names = files
    .filter(({ path }) => /^trainer\/(cli\.ts$|commands\/)/.test(path) && isCode(path))
    .flatMap((file) =>
      findNodes(file, 'CallExpression', 'NewExpression')
        .filter(({ node }) => endOf(node.callee) === 'command' || nameOf(node.callee) === 'Command')
        .map(({ node }) => (node.arguments as SyntaxNode[])[0])
        .filter((argument) => argument?.type === 'Literal')
        .map((argument) => String(argument.value).split(' ')[0]),
    );
  return [...new Set(names)];
}

/** Commands and flags in the indented lines of a text that the command line does not have. */
export function unknownUsage(text: string, files: RepositoryFile[]): string[] {
  const known = commandNames(files);
  const sources = files.filter(({ path }) => /^trainer\/(cli\.ts$|commands\/)/.test(path));
  const code = sources.map((file) => file.text).join('\n');
  return text.split('\n').flatMap((line) => {
    const [, command, rest] =
      line.match(/^ {4}(?:npx counterweight|npm run --silent cw --) ([a-z][a-z-]*)(.*)/) ?? [];
    if (command === undefined) return [];
    const flags = rest.match(/--[a-z][a-z-]*/g) ?? [];
    const missing = flags.filter((flag) => !new RegExp(`${flag}(?![a-z-])`).test(code));
    return [...(known.includes(command) ? [] : [command]), ...missing];
  });
}

const endOf = (callee: unknown) => {
  const node = callee as SyntaxNode;
  return node.type === 'MemberExpression' ? nameOf(node.property) : '';
};

/** Variables that belong to the system or to other programs, not to Counterweight. */
const foreign = new Set([
  'PATH',
  'HOME',
  'TMPDIR',
  'CI',
  'NO_COLOR',
  'FORCE_COLOR',
  'NODE_OPTIONS',
]);

/** Environment variables that a file names: CW_ anything, and members of an `env` object. */
export function variablesIn(file: RepositoryFile): string[] {
  const named = file.text.match(/\bCW_[A-Z][A-Z_]*[A-Z]\b/g) ?? [];
  const read = isCode(file.path) ? membersOfEnv(file) : [];
  return [...new Set([...named, ...read])].filter((name) => !foreign.has(name));
}

function membersOfEnv(file: RepositoryFile): string[] {
  return findNodes(file, 'MemberExpression')
    .filter(({ node }) => /(^|\.)env$/.test(nameOf(node.object)))
    .map(({ node }) => {
      const property = node.property as SyntaxNode;
      return String(property.type === 'Literal' ? property.value : nameOf(property));
    })
    .filter((name) => /^[A-Z][A-Z0-9_]+$/.test(name));
}

/**
 * Variables that no README mentions where people look: the first one, those on the way to the file,
 * and the trainer's, whose environment the service fills in.
 */
export function undocumentedVariables(files: RepositoryFile[]): string[] {
  const readmes = new Map(files.map(({ path, text }) => [path, text]));
  return files
    .filter(({ path }) => /^(api|trainer|infra)\/.*\.(ts|tsx|mjs|js|py|sh)$/.test(path))
    .flatMap((file) => {
      const parts = file.path.split('/').slice(0, -1);
      const near = parts.map((_, index) => `${parts.slice(0, index + 1).join('/')}/README.md`);
      const texts = ['README.md', 'trainer/README.md', ...near].map(
        (path) => readmes.get(path) ?? '',
      );
      return variablesIn(file)
        .filter((name) => !texts.some((text) => text.includes(ticks(name))))
        .map((name) => `${name} (${file.path})`);
    });
}

const runScript = (name: string) => {
  if (name === 'cw') return 'npm run --silent cw --';
  return name === 'test' || name === 'start' ? `npm ${name}` : `npm run ${name}`;
};

/** Every topic, from the parts as they are. */
export function topicsOf(input: {
  routes: string[];
  engines: readonly string[];
  scripts: string[];
  files: RepositoryFile[];
}): Topic[] {
  const paths = input.files.map(({ path }) => path);
  return [
    {
      what: 'routes',
      readme: 'api/routes/README.md',
      names: input.routes,
      mention: ticks,
      claimed: (text) => firstCells(text),
    },
    {
      what: 'error kinds',
      readme: 'api/http/README.md',
      names: Object.keys(problemKinds),
      mention: (kind) => `| ${ticks(kind)} | ${statusOf(kind)} |`,
      claimed: (text) => firstCells(text, 'Problems'),
    },
    {
      what: 'settings of a job',
      readme: 'trainer/README.md',
      names: settingNames,
      mention: ticks,
      claimed: (text) => firstCells(text, 'Settings of a job'),
    },
    {
      what: 'launchers',
      readme: 'api/launchers/README.md',
      names: launcherNames(paths, input.engines),
      mention: ticks,
    },
    {
      what: 'commands',
      readme: 'trainer/commands/README.md',
      names: commandNames(input.files),
      mention: ticks,
    },
    {
      what: 'kinds of terms',
      readme: 'api/weights/README.md',
      names: Object.keys(termKinds),
      mention: ticks,
    },
    { what: 'scripts', readme: 'README.md', names: input.scripts, mention: runScript },
  ];
}

const statusOf = (kind: string) =>
  (problemKinds as Record<string, { status: number }>)[kind].status;
