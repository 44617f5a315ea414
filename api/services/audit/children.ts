// Whether child snapshots are still what their parents, rules and origins give, and whether jobs
// draw by the snapshots that entries say they switched to.

import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { listEntriesAbout, walkJobIds } from '../../store/audit-walk.ts';
import { listStages } from '../../store/children.ts';
import { findSnapshotById } from '../../store/snapshots.ts';
import { snapshotDigest } from '../../weights/digest.ts';
import { recompute } from '../snapshots/recompute.ts';
import { type EntryFacts, type Findings, factsOf } from './findings.ts';

export const childAction = 'snapshot.child-frozen';
export const switchAction = 'job.snapshot-switched';

/** Makes a child again and compares its digest; a snapshot that is not stored is told elsewhere. */
export async function checkChild(
  deps: Deps,
  { entry, workspaceId }: { entry: EntryFacts; workspaceId: string },
  findings: Findings,
): Promise<void> {
  const { subject, sequence } = entry;
  const row = await findSnapshotById(deps.database.orm, String(entry.detail.id));
  if (row === undefined || row.workspaceId !== workspaceId) return;
  const add = (detail: string) => findings.add({ kind: 'snapshot', subject, sequence, detail });
  try {
    const { fold, evidence } = await recompute(deps, row);
    if (evidence !== row.header.evidenceDigest) {
      add(`its evidence has the digest ${evidence}, and its header says otherwise`);
      return;
    }
    const found = snapshotDigest({ header: row.header, ...fold.resolved });
    if (found === row.digest) return;
    add(`its parent, its rules and what is kept of its origin give ${found}`);
  } catch (fault) {
    if (!(fault instanceof ProblemError)) throw fault;
    add(`it cannot be made again from its parent and its origin: ${fault.detail}`);
  }
}

/** Checks that a job draws by what one entry `job.snapshot-switched` says. */
export async function checkSwitched(
  { database }: Pick<Deps, 'database'>,
  { entry }: { entry: EntryFacts },
  findings: Findings,
): Promise<void> {
  const { subject, sequence } = entry;
  const { to, fromEpoch } = entry.detail;
  const stages = await listStages(database.orm, [subject.replace(/^job\//, '')]);
  const stored = stages.find((stage) => stage.fromEpoch === fromEpoch);
  if (stored?.digest === to) return;
  const detail = `entry ${sequence} says that it draws by ${to} from epoch ${fromEpoch} on; stored is ${stored?.digest ?? 'no switch'}`;
  findings.add({ kind: 'job', subject, sequence, detail });
}

/** Finds switches that no entry tells of. */
export async function checkUnknownSwitches(
  { database }: Pick<Deps, 'database'>,
  workspaceId: string,
  findings: Findings,
): Promise<void> {
  for await (const page of walkJobIds(database.orm, workspaceId)) {
    const ids = page.map(({ id }) => id);
    const subjects = ids.map((id) => `job/${id}`);
    const about = { workspaceId, actions: [switchAction], subjects };
    const entries = await listEntriesAbout(database.orm, about);
    const told = new Set(entries.map((row) => `${row.subject} ${factsOf(row)?.detail.fromEpoch}`));
    for (const { jobId, fromEpoch, digest } of await listStages(database.orm, ids)) {
      const subject = `job/${jobId}`;
      if (told.has(`${subject} ${fromEpoch}`)) continue;
      const detail = `it draws by ${digest} from epoch ${fromEpoch} on, and no entry says so`;
      findings.add({ kind: 'job', subject, detail });
    }
  }
}
