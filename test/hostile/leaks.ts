// What no answer and no line of the log may hold, whatever was sent.

import { expect } from 'vitest';
import type { TestApp } from '../support/app.ts';

/** SQL with its words around it, frames of a stack, paths of files, secrets. */
const inside: [string, RegExp][] = [
  ['SQL', /\b(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\s/i],
  ['a stack', /\n\s+at\s|\.ts:\d+|node:internal/],
  ['a path', /node_modules|\/api\/(services|store|http|routes)\//],
];

export type Answered = { status: number; type: string | null; text: string; from: string };

/** Reads an answer; `from` says what was sent. */
export async function answered(from: string, response: Response): Promise<Answered> {
  const type = response.headers.get('content-type');
  return { status: response.status, type, text: await response.text(), from };
}

/** What is wrong with an answer: empty for one that a stranger may see. */
export function faultsOf({ status, type, text, from }: Answered, sent = ''): string[] {
  const faults: string[] = [];
  if (status >= 500) faults.push(`answered ${status}`);
  if (status >= 400) {
    if (type !== 'application/problem+json') faults.push(`answered ${type}`);
    else if (!isProblem(text, status)) faults.push('is no problem document');
  }
  // A detail may repeat what the request itself said.
  const own = sent === '' ? text : text.replaceAll(JSON.stringify(sent).slice(1, -1), '');
  for (const [what, pattern] of inside) {
    const found = pattern.exec(own)?.[0];
    if (found !== undefined) faults.push(`holds ${what}: ${found}`);
  }
  return faults.map((fault) => `${from}: ${fault}: ${text.slice(0, 300)}`);
}

function isProblem(text: string, status: number): boolean {
  try {
    const problem = JSON.parse(text);
    const texts = [problem.type, problem.title, problem.detail, problem.instance];
    return problem.status === status && texts.every((each) => typeof each === 'string');
  } catch {
    return false;
  }
}

/** Insists that no line of the log has a secret, and that nothing was logged as an error. */
export function expectSilentLog(api: TestApp, secrets: string[]): void {
  const lines = api.logged.map((line) => JSON.stringify({ ...line, cause: causes(line) }));
  expect(lines.filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
  expect(api.logged.filter(({ level }) => level === 'error')).toEqual([]);
}

const causes = ({ fields }: TestApp['logged'][number]) =>
  fields?.cause instanceof Error ? fields.cause.stack : undefined;
