// The chain itself: every entry follows from the one before, and its columns say what its text
// says.

import type { Deps } from '../../deps.ts';
import { sha256Text } from '../../ids.ts';
import { type AuditRow, genesisHash } from '../../store/audit.ts';
import { listLostAnchors } from '../../store/audit-anchors.ts';
import { type Findings, factsOf, shownFindings } from './findings.ts';

export type ChainCheck = { checked: () => number; check: (row: AuditRow) => Promise<void> };

/** Takes the entries in order; what does not hold goes to `findings` with its sequence. */
export function chainCheck(workspaceId: string, findings: Findings): ChainCheck {
  let before = { sequence: 0, hash: genesisHash };
  let checked = 0;
  return {
    checked: () => checked,
    check: async (row) => {
      checked++;
      const detail = await faultOf(row, { ...before, workspaceId });
      const { sequence, subject } = row;
      if (detail !== null) findings.add({ kind: 'chain', subject, sequence, detail });
      before = { sequence, hash: row.hash };
    },
  };
}

async function faultOf(
  row: AuditRow,
  before: { sequence: number; hash: string; workspaceId: string },
): Promise<string | null> {
  if (row.hash !== (await sha256Text(`${row.previousHash}\n${row.text}`))) {
    return `the text of entry ${row.sequence} was altered: its hash is another`;
  }
  if (row.sequence !== before.sequence + 1) {
    return `entry ${before.sequence + 1} is missing: ${row.sequence} follows ${before.sequence}`;
  }
  if (row.previousHash !== before.hash) {
    return `entry ${row.sequence} does not follow from the hash of entry ${before.sequence}`;
  }
  const facts = factsOf(row);
  if (facts === null) return `the text of entry ${row.sequence} is no JSON object`;
  const text = JSON.parse(row.text) as Record<string, unknown>;
  const same =
    text.sequence === row.sequence &&
    text.workspaceId === before.workspaceId &&
    facts.actor === row.actor &&
    facts.action === row.action &&
    facts.subject === row.subject &&
    JSON.stringify(facts.at) === JSON.stringify(row.at);
  return same ? null : `a column of entry ${row.sequence} says something else than its text`;
}

/** Finds heads that were written down elsewhere and are no entries of the chain any more. */
export async function checkAnchors(
  { database }: Pick<Deps, 'database'>,
  workspaceId: string,
  findings: Findings,
): Promise<void> {
  const lost = await listLostAnchors(database.orm, { workspaceId, limit: shownFindings });
  for (const { sequence, at } of lost) {
    const detail = `entry ${sequence}, anchored at ${at.toISOString()}, is gone or another one`;
    findings.add({ kind: 'chain', subject: `workspace/${workspaceId}`, sequence, detail });
  }
}
