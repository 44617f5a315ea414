// Problem documents as clients meet them: read from an answer, and as text for people.

import type { z } from 'zod';
import type { problemSchema } from './shared.ts';

type Full = z.output<typeof problemSchema>;
export type Problem = Pick<Full, 'status' | 'title' | 'detail' | 'errors'> &
  Partial<Pick<Full, 'requestId'>>;

/** The problem that an answer tells; where something else answered, what it wrote. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.detail === 'string') return problem;
  } catch {
    // Not a problem document: the text itself has to do.
  }
  const detail = text.slice(0, 300) || response.statusText || `status ${response.status}`;
  return { status: response.status, title: response.statusText, detail };
}

/** A problem document as people read it. */
export function problemText({ detail, errors = [], requestId, status }: Problem): string {
  const lines = errors.slice(0, 20).map(({ pointer, line, caseId, detail: what, range }) => {
    const at = [
      line === undefined ? undefined : `line ${line}`,
      caseId === undefined ? undefined : `case ${caseId}`,
      pointer || undefined,
    ].filter((part) => part !== undefined);
    const where = range === undefined ? '' : ` (characters ${range.from} to ${range.to})`;
    return `  ${at.join(', ') || 'body'}${where}: ${what}`;
  });
  if (errors.length > 20) lines.push(`  ... and ${errors.length - 20} more`);
  const id = status >= 500 && requestId ? ` (request ${requestId})` : '';
  return [`${detail}${id}`, ...lines].join('\n');
}
