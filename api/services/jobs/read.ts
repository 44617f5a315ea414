// Reading jobs: state, progress, metrics, events, log, ledger, artifacts, several side by side.

import type { Job, LedgerEpoch } from '../../contract/jobs.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { listEvents } from '../../store/job-events.ts';
import { type AttemptRow, findJob, type JobRow, listAttempts, listJobs } from '../../store/jobs.ts';
import { listLedger, listMetrics } from '../../store/reports.ts';
import { findSnapshotById } from '../../store/snapshots.ts';
import { ledgerEpochs } from './ledger.ts';

export async function requireJob(deps: Deps, actor: Actor, id: string): Promise<JobRow> {
  const row = await findJob(deps.database.orm, { workspaceId: actor.workspaceId, id });
  if (row === undefined)
    throw new ProblemError('not-found', `There is no job "${id}" in this workspace.`);
  return row;
}

const iso = (at: Date | null) => at?.toISOString() ?? null;

function attemptView(row: AttemptRow): Job['attempts'][number] {
  return {
    attempt: row.attempt,
    launchKey: row.launchKey,
    state: row.state,
    reason: row.reason,
    observation: row.observation,
    createdAt: row.createdAt.toISOString(),
    startedAt: iso(row.startedAt),
    lastContactAt: iso(row.lastContactAt),
    endedAt: iso(row.endedAt),
  };
}

async function jobView(deps: Deps, row: JobRow): Promise<Job> {
  const orm = deps.database.orm;
  const snapshot = await findSnapshotById(orm, row.snapshotId);
  const epochs = await epochsOf(deps, row);
  const count = (state: LedgerEpoch['state']) =>
    epochs.filter((epoch) => epoch.state === state).length;
  return {
    id: row.id,
    state: row.state,
    reason: row.stateReason,
    dataset: snapshot?.header.dataset ?? '',
    snapshot: { id: row.snapshotId, digest: snapshot?.digest ?? '' },
    target: row.target,
    image: row.image,
    seed: row.seed,
    settings: row.settings,
    resources: row.resources,
    monitors: row.monitors,
    launchReason: row.reason,
    progress: row.progress,
    verifiedDraws: {
      verified: count('verified'),
      partial: count('partial'),
      mismatch: count('mismatch'),
    },
    summary: row.summary,
    attempts: (await listAttempts(orm, [row.id])).map(attemptView),
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    startedAt: iso(row.startedAt),
    endedAt: iso(row.endedAt),
  };
}

async function epochsOf(deps: Deps, { id, settings }: JobRow): Promise<LedgerEpoch[]> {
  return ledgerEpochs(await listLedger(deps.database.orm, id), settings.drawsPerEpoch);
}

export async function getJob(deps: Deps, actor: Actor, id: string): Promise<Job> {
  return await jobView(deps, await requireJob(deps, actor, id));
}

export async function pageOfJobs(
  deps: Deps,
  actor: Actor,
  { before, limit }: { before?: string; limit: number },
): Promise<Job[]> {
  const found = await listJobs(deps.database.orm, {
    workspaceId: actor.workspaceId,
    before,
    limit,
  });
  return await Promise.all(found.map((row) => jobView(deps, row)));
}

export async function jobMetrics(
  deps: Deps,
  actor: Actor,
  { id, ...query }: { id: string; name?: string; group?: string; after: number; limit: number },
) {
  await requireJob(deps, actor, id);
  const points = await listMetrics(deps.database.orm, { jobId: id, ...query });
  return points.map(({ jobId: _, ...point }) => point);
}

export async function jobEvents(
  deps: Deps,
  actor: Actor,
  { id, after, limit }: { id: string; after: number; limit: number },
) {
  await requireJob(deps, actor, id);
  const events = await listEvents(deps.database.orm, { jobId: id, after, limit });
  return events.map(({ sequence, at, kind, detail }) => ({
    sequence,
    at: at.toISOString(),
    kind,
    detail,
  }));
}

/** The tail of the log of a job's latest attempt. */
export async function jobLog(deps: Deps, actor: Actor, id: string): Promise<string> {
  await requireJob(deps, actor, id);
  return (await listAttempts(deps.database.orm, [id])).at(-1)?.log ?? '';
}

export async function jobLedger(deps: Deps, actor: Actor, id: string): Promise<LedgerEpoch[]> {
  return await epochsOf(deps, await requireJob(deps, actor, id));
}

export async function jobArtifacts(deps: Deps, actor: Actor, id: string) {
  return (await requireJob(deps, actor, id)).artifacts;
}

/** Settings, snapshots and last metrics of several jobs. */
export async function compareJobs(deps: Deps, actor: Actor, ids: string[]) {
  return await Promise.all(
    ids.map(async (id) => {
      const { state, snapshot, settings, seed, verifiedDraws, summary } = await getJob(
        deps,
        actor,
        id,
      );
      return { id, state, snapshot, settings, seed, verifiedDraws, summary };
    }),
  );
}
