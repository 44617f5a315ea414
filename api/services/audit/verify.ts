// GET /v1/audit/verify: the chain, and everything that its entries vouch for. Rows are read a page
// at a time, vectors a chunk at a time; the service goes on working meanwhile.

import type { Actor, Deps } from '../../deps.ts';
import { walkAudit } from '../../store/audit-walk.ts';
import { chainCheck, checkAnchors } from './chain.ts';
import {
  checkChild,
  checkSwitched,
  checkUnknownSwitches,
  childAction,
  switchAction,
} from './children.ts';
import { checkDecision, checkUnknownDecisions } from './decisions.ts';
import { type Finding, factsOf, newFindings } from './findings.ts';
import { checkJobs, checkLaunched } from './jobs.ts';
import { checkFrozen, checkUnknownSnapshots, frozenActions } from './snapshots.ts';

export type Verdict = {
  ok: boolean;
  /** Entries read. */
  checked: number;
  snapshots: number;
  chunks: number;
  ledgerRows: number;
  findings: Finding[];
  /** Of the first finding. */
  sequence?: number;
  detail?: string;
};

/**
 * Walks the chain of the actor's workspace; with scope `all` also compares what is stored with what
 * the entries say, in both directions. Stores nothing and throws nothing for what it finds.
 */
export async function verifyAudit(
  deps: Deps,
  { workspaceId }: Actor,
  { scope }: { scope: 'chain' | 'all' },
): Promise<Verdict> {
  const findings = newFindings();
  const chain = chainCheck(workspaceId, findings);
  const counts = { snapshots: 0, chunks: 0, ledgerRows: 0 };
  for await (const row of walkAudit(deps.database.orm, workspaceId)) {
    await chain.check(row);
    const entry = scope === 'all' ? factsOf(row) : null;
    if (entry === null) continue;
    const about = { entry, workspaceId };
    if (frozenActions.includes(row.action)) {
      counts.chunks += await checkFrozen(deps, about, findings);
      if (row.action === childAction) await checkChild(deps, about, findings);
    }
    if (row.action === switchAction) await checkSwitched(deps, about, findings);
    if (row.action === 'job.launched') await checkLaunched(deps, about, findings);
    await checkDecision(deps, about, findings);
  }
  if (scope === 'all') {
    counts.snapshots = await checkUnknownSnapshots(deps, workspaceId, findings);
    counts.ledgerRows = await checkJobs(deps, workspaceId, findings);
    await checkUnknownSwitches(deps, workspaceId, findings);
    await checkUnknownDecisions(deps, workspaceId, findings);
    await checkAnchors(deps, workspaceId, findings);
  }
  const [first] = findings.list;
  const shown = first === undefined ? {} : { sequence: first.sequence, detail: first.detail };
  const ok = first === undefined;
  return { ok, checked: chain.checked(), ...counts, findings: findings.list, ...shown };
}
