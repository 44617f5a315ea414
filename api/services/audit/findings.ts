// What a check of the chain finds, up to a hundred; and an entry as the checks read it.

import type { AuditRow } from '../../store/audit.ts';

/** `subject` is the one of the entry concerned, `kind/id`. */
export type Finding = {
  kind: 'chain' | 'snapshot' | 'chunk' | 'job' | 'ledger' | 'approval' | 'alias' | 'withdrawal';
  subject: string;
  sequence?: number;
  chunk?: number;
  detail: string;
};

export const shownFindings = 100;

export type Findings = { list: Finding[]; add: (finding: Finding) => void };

export function newFindings(): Findings {
  const list: Finding[] = [];
  return {
    list,
    add: (finding) => {
      if (list.length < shownFindings) list.push(finding);
    },
  };
}

/** An entry by its text, which its hash covers; `detail` is {} where it is no object. */
export type EntryFacts = {
  sequence: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  reason: string | null;
  detail: Record<string, unknown>;
};

/** What an entry's text says; null where it is no JSON object. */
export function factsOf({ text, sequence }: AuditRow): EntryFacts | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { at, actor, action, subject, reason } = value as Omit<EntryFacts, 'sequence' | 'detail'>;
  const detail = isObject(value.detail) ? value.detail : {};
  return { sequence, at, actor, action, subject, reason, detail };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
