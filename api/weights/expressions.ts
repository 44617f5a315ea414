// CEL with guards. `case` has one typed field per attribute; the result type is required; matches()
// is a backtracking RegExp and comprehensions have no cost limit, so both are refused when saving.

import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import type { AttributeMap } from '../contract/attributes.ts';
import type { Fault } from './case-table.ts';

const celTypes = { number: 'double', string: 'string', boolean: 'bool', labels: 'list<string>' };
const comprehensions = new Set([
  'all',
  'exists',
  'exists_one',
  'map',
  'filter',
  'sortBy',
  'transformList',
]);
const maxAstNodes = 200;

export type ExpressionType = 'bool' | 'double';
export type CompiledExpression = {
  evaluate: (values: Record<string, unknown>) => unknown;
  /** Attributes that the expression reads. */
  reads: Set<string>;
};

/** An environment in which `case` has the declared attributes; made once per rule set. */
export function expressionEnvironment(attributes: AttributeMap): Environment {
  const schema = Object.fromEntries(
    Object.entries(attributes).map(([name, { type }]) => [name, celTypes[type]]),
  );
  const limits = { maxAstNodes, maxDepth: 40, maxListElements: 100, maxCallArguments: 8 };
  return new Environment({ unlistedVariablesAreDyn: false, limits }).registerVariable({
    name: 'case',
    schema,
  });
}

/** Compiles an expression of a required result type, or says what is wrong and where. */
export function compileExpression(
  environment: Environment,
  { text, type, attributes }: { text: string; type: ExpressionType; attributes: AttributeMap },
): { ok: true; expression: CompiledExpression } | { ok: false; fault: Fault } {
  try {
    const parsed = environment.parse(text);
    const refused = refusedCall(parsed.ast);
    if (refused !== null) return { ok: false, fault: refused };
    const checked = parsed.check();
    if (!checked.valid) return { ok: false, fault: faultOf(checked.error, text, attributes) };
    if (checked.type !== type) {
      return {
        ok: false,
        fault: { detail: wrongType(checked.type, type), range: { from: 0, to: text.length } },
      };
    }
    const expression = {
      evaluate: (values: Record<string, unknown>) => parsed({ case: values }),
      reads: fieldsRead(parsed.ast),
    };
    return { ok: true, expression };
  } catch (error) {
    return { ok: false, fault: faultOf(error, text, attributes) };
  }
}

function wrongType(is: string | undefined, wanted: ExpressionType): string {
  const hint =
    is === 'int' && wanted === 'double' ? '; write whole numbers with a point, as 2.0' : '';
  return `the expression gives ${is}, but ${wanted} is needed here${hint}`;
}

type CelError = {
  summary?: string;
  message?: string;
  range?: { start: number; end: number };
  node?: { start: number; end: number };
};

function faultOf(error: unknown, text: string, attributes: AttributeMap): Fault {
  const { summary, message = '', range, node } = error as CelError;
  const detail = summary ?? message.split('\n')[0];
  const where = range ?? node;
  const unknown = /^No such key: (\S+)/.exec(detail)?.[1];
  return {
    detail: unknown === undefined ? hinted(detail) : unknownAttribute(unknown, attributes),
    range: {
      from: where?.start ?? 0,
      to: Math.max(where?.end ?? text.length, (where?.start ?? 0) + 1),
    },
  };
}

function hinted(detail: string): string {
  return /\bint\b/.test(detail) ? `${detail} (numbers are doubles here: write 2.0, not 2)` : detail;
}

/** A sentence for an attribute that is not declared, with the nearest declared name. */
export function unknownAttribute(name: string, attributes: AttributeMap): string {
  const near = nearestName(name, Object.keys(attributes));
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return `no attribute "${name}" is declared for this dataset${hint}`;
}

function nearestName(name: string, names: string[]): string | null {
  const ranked = names
    .map((known) => ({ known, distance: editDistance(name.toLowerCase(), known.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 3))
    ? best.known
    : null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

function children(node: ASTNode): ASTNode[] {
  const isNode = (value: unknown): value is ASTNode =>
    typeof value === 'object' && value !== null && 'op' in value;
  const args: unknown[] = Array.isArray(node.args) ? node.args.flat(2) : [node.args];
  return args.filter(isNode);
}

function refusedCall(node: ASTNode): Fault | null {
  const name = node.op === 'rcall' || node.op === 'call' ? node.args[0] : null;
  const range = { from: node.start, to: node.end };
  if (name === 'matches') {
    return {
      detail: 'matches() is not allowed: use ==, startsWith, endsWith, contains or in',
      range,
    };
  }
  if (name !== null && comprehensions.has(name)) {
    return { detail: `${name}() over a list is not allowed: use in, or size()`, range };
  }
  for (const child of children(node)) {
    const fault = refusedCall(child);
    if (fault !== null) return fault;
  }
  return null;
}

function fieldsRead(node: ASTNode, found = new Set<string>()): Set<string> {
  if (node.op === '.' && node.args[0].op === 'id' && node.args[0].args === 'case') {
    found.add(node.args[1]);
  }
  for (const child of children(node)) fieldsRead(child, found);
  return found;
}
