// CEL with guards. `case` has one typed field per attribute; the result type is required; matches()
// is a backtracking RegExp and comprehensions have no cost limit, so both are refused when saving.
// `case` may only be read as `case.NAME`: the library checks no name in has() and none in ['NAME'].

import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import type { AttributeMap } from '../contract/attributes.ts';
import { nearestName, unknownAttribute } from './attribute-names.ts';
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
  'transformMap',
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

/**
 * Compiles an expression of a required result type, or says what is wrong and where: the range is
 * in characters of the expression, `to` exclusive (METHOD.md section 3).
 */
export function compileExpression(
  environment: Environment,
  { text, type, attributes }: { text: string; type: ExpressionType; attributes: AttributeMap },
): { ok: true; expression: CompiledExpression } | { ok: false; fault: Fault } {
  try {
    const parsed = environment.parse(text);
    const refused = refusedCall(parsed.ast) ?? refusedRead(parsed.ast, attributes);
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
  code?: string;
  summary?: string;
  message?: string;
  range?: { start: number; end: number };
  node?: { start: number; end: number };
};

/**
 * The attribute whose absence made an evaluation throw, or null where it threw for another reason.
 */
export function absentAttribute(error: unknown): string | null {
  const { code, summary } = error as CelError;
  if (code !== 'no_such_key') return null;
  return /^No such key: (\w+)$/.exec(summary ?? '')?.[1] ?? null;
}

function faultOf(error: unknown, text: string, attributes: AttributeMap): Fault {
  const { summary, message = '', range, node } = error as CelError;
  const detail = summary ?? message.split('\n')[0];
  const where = range ?? node;
  return {
    detail: hinted(detail, attributes),
    range: {
      from: where?.start ?? 0,
      to: Math.max(where?.end ?? text.length, (where?.start ?? 0) + 1),
    },
  };
}

function hinted(detail: string, attributes: AttributeMap): string {
  const variable = /^Unknown variable: (\w+)$/.exec(detail)?.[1];
  if (variable !== undefined) {
    const near = nearestName(variable, Object.keys(attributes));
    const hint =
      near === null ? 'attributes are read as case.NAME' : `did you mean "case.${near}"?`;
    return `${detail}; ${hint}`;
  }
  return /\bint\b/.test(detail) ? `${detail} (numbers are doubles here: write 2.0, not 2)` : detail;
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
  if (name === 'bind') {
    return { detail: 'bind() is not allowed: write the expression out', range };
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

const isCase = (node: ASTNode) => node.op === 'id' && node.args === 'case';

// `case` itself, or a field of it that is not declared.
function refusedRead(node: ASTNode, attributes: AttributeMap): Fault | null {
  const range = { from: node.start, to: node.end };
  if (isCase(node)) return { detail: 'read an attribute as case.NAME', range };
  if (node.op === '.' && isCase(node.args[0])) {
    const name = node.args[1];
    if (Object.hasOwn(attributes, name)) return null;
    const from = Math.max(node.start, node.end - name.length);
    return { detail: unknownAttribute(name, attributes), range: { from, to: node.end } };
  }
  for (const child of children(node)) {
    const fault = refusedRead(child, attributes);
    if (fault !== null) return fault;
  }
  return null;
}

function fieldsRead(node: ASTNode, found = new Set<string>()): Set<string> {
  if (node.op === '.' && isCase(node.args[0])) found.add(node.args[1]);
  for (const child of children(node)) fieldsRead(child, found);
  return found;
}
