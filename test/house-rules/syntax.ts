// Reading code for the rules: a real parse of TypeScript and JavaScript, once per text.

import { parseAst } from 'rolldown/parseAst';
import type { RepositoryFile } from './repository.ts';

/** A node of the ESTree that the parser gives; rules look at the few fields they know. */
export type SyntaxNode = { type: string; start: number; end: number; [field: string]: unknown };

export type Import = {
  /** What is imported, as written. */
  from: string;
  /** For a relative import: the path in the repository. */
  path: string | undefined;
  /** Erased when compiled: `import type`, `export type`, a type expression. */
  typeOnly: boolean;
  names: string[];
  line: number;
};

const trees = new Map<string, SyntaxNode>();

export const isCode = (path: string) => /\.(ts|tsx|mts|mjs|js)$/.test(path);

/** The program of a code file. Throws with the file's name where it cannot be parsed. */
export function programOf({ path, text }: RepositoryFile): SyntaxNode {
  const lang = path.endsWith('.tsx') ? 'tsx' : /\.m?ts$/.test(path) ? 'ts' : 'js';
  const key = `${path}\n${text}`;
  let tree = trees.get(key);
  if (tree === undefined) {
    const options = { lang, astType: 'ts', sourceType: 'module' } as const;
    tree = parseAst(text, options, path) as unknown as SyntaxNode;
    trees.set(key, tree);
  }
  return tree;
}

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string';

/** The nodes directly below a node. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}

/** Every node of a program with its ancestors, nearest last. */
export function* nodesOf(
  node: SyntaxNode,
  ancestors: SyntaxNode[] = [],
): Generator<{ node: SyntaxNode; ancestors: SyntaxNode[] }> {
  yield { node, ancestors };
  for (const child of childrenOf(node)) yield* nodesOf(child, [...ancestors, node]);
}

/** The nodes of one type in a file. */
export function findNodes(file: RepositoryFile, ...types: string[]) {
  return [...nodesOf(programOf(file))].filter(({ node }) => types.includes(node.type));
}

export const lineAt = (text: string, offset: number) => text.slice(0, offset).split('\n').length;

/** The name of an identifier, of a member path (`a.b`), or ''. */
export function nameOf(node: unknown): string {
  if (!isNode(node)) return '';
  if (node.type === 'Identifier') return node.name as string;
  if (node.type === 'MemberExpression' && node.computed === false) {
    return `${nameOf(node.object)}.${nameOf(node.property)}`;
  }
  return '';
}

const importing = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
]);

/** Everything a file imports or exports from elsewhere, dynamic imports and type imports too. */
export function importsOf(file: RepositoryFile): Import[] {
  return findNodes(file, ...importing).flatMap(({ node }) => {
    const source = node.source as { value?: unknown } | null;
    if (typeof source?.value !== 'string') return [];
    const specifiers = (node.specifiers ?? []) as SyntaxNode[];
    const kind = node.importKind ?? node.exportKind;
    return [
      {
        from: source.value,
        path: source.value.startsWith('.') ? joined(file.path, source.value) : undefined,
        typeOnly: kind === 'type' || node.type === 'TSImportType',
        names: specifiers.map((one) => nameOf(one.imported ?? one.local)),
        line: lineAt(file.text, node.start),
      },
    ];
  });
}

function joined(from: string, relative: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of relative.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}
