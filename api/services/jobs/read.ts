// Reading jobs: state, progress, metrics, events, log, ledger, artifacts, several side by side.

import type { Job, LedgerEpoch } from '../../contract/jobs.ts';
import type { MonitorView, MonitorViews } from '../../contract/monitors.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { type AttemptRow, findLog, listAttempts } from '../../store/attempts.ts';
import { listStages, type Stage } from '../../store/children.ts';
import { countEpochs, listLedger } from '../../store/draw-ledger.ts';
import { listEvents } from '../../store/job-events.ts';
import {
  findJob,
  type JobRow,
  listJobs,
  listSnapshotNames,
  type SnapshotName,
} from '../../store/jobs.ts';
import { listLastMetrics, listMetrics, type MetricRow } from '../../store/metrics.ts';
import { monitorState, monitorsOf } from '../trainer/monitors.ts';
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
    environment: row.environment,
    plan: row.plan,
    agent: row.agent,
    createdAt: row.createdAt.toISOString(),
    startedAt: iso(row.startedAt),
    lastContactAt: iso(row.lastContactAt),
    endedAt: iso(row.endedAt),
  };
}

function snapshotName(id: string, names: Map<string, SnapshotName>) {
  const { digest, fold } = names.get(id) as SnapshotName; // a foreign key
  return { id, digest, fold };
}

function monitorViews({ monitors, monitorStates }: JobRow): MonitorViews {
  const views = monitorsOf(monitors).map(({ name, monitor }) => {
    const view: MonitorView = { ...monitor, ...monitorState(monitorStates, name) };
    return [name, view];
  });
  return Object.fromEntries(views);
}

function stagesOfJob(
  { id, snapshotId }: JobRow,
  names: Map<string, SnapshotName>,
  stages: Stage[],
): Job['snapshots'] {
  const { digest, cause } = names.get(snapshotId) as SnapshotName; // a foreign key
  const switches = stages.filter(({ jobId }) => jobId === id);
  const first = switches[0]?.fromEpoch === 0 ? [] : [{ digest, fromEpoch: 0, cause }];
  return [...first, ...switches.map(({ jobId: _, snapshotId: __, ...stage }) => stage)];
}

/** What a job's settings allow that defeats a factor per case (METHOD.md section 7). */
function inexactBy({ allowBatchDice }: JobRow['settings']): string[] {
  if (!allowBatchDice) return [];
  return ['allowBatchDice: Dice may be over a whole batch, where a factor per case is not exact'];
}

// Four queries for any number of jobs.
async function jobViews(deps: Deps, rows: JobRow[]): Promise<Job[]> {
  const orm = deps.database.orm;
  const ids = rows.map((row) => row.id);
  const snapshots = await listSnapshotNames(orm, [...new Set(rows.map((row) => row.snapshotId))]);
  const epochs = await countEpochs(orm, ids);
  const attempts = await listAttempts(orm, ids);
  const stages = await listStages(orm, ids);
  return rows.map((row) => ({
    id: row.id,
    state: row.state,
    reason: row.stateReason,
    dataset: snapshots.get(row.snapshotId)?.dataset ?? '',
    snapshot: snapshotName(row.snapshotId, snapshots),
    snapshots: stagesOfJob(row, snapshots, stages),
    alias: row.alias,
    batch: row.batchId,
    target: row.target,
    image: row.image,
    seed: row.seed,
    settings: row.settings,
    resources: row.resources,
    monitors: monitorViews(row),
    validationInformed: row.validationInformed,
    inexact: inexactBy(row.settings),
    launchReason: row.reason,
    progress: row.progress,
    verifiedDraws: epochs.get(row.id) ?? { verified: 0, partial: 0, mismatch: 0 },
    summary: row.summary,
    attempts: attempts.filter(({ jobId }) => jobId === row.id).map(attemptView),
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    startedAt: iso(row.startedAt),
    endedAt: iso(row.endedAt),
  }));
}

export async function getJob(deps: Deps, actor: Actor, id: string): Promise<Job> {
  return (await jobViews(deps, [await requireJob(deps, actor, id)]))[0];
}

/** Name of the dataset that a job's snapshot is of. */
export async function datasetOfJob(deps: Deps, { snapshotId }: JobRow): Promise<string> {
  return (await listSnapshotNames(deps.database.orm, [snapshotId])).get(snapshotId)?.dataset ?? '';
}

export async function pageOfJobs(
  deps: Deps,
  actor: Actor,
  { batch, ...page }: { batch?: string; before?: string; limit: number },
): Promise<Job[]> {
  const query = { workspaceId: actor.workspaceId, batchId: batch, ...page };
  return await jobViews(deps, await listJobs(deps.database.orm, query));
}

/** The state alone, for those who ask often. */
export async function getJobState(deps: Deps, actor: Actor, id: string): Promise<Job['state']> {
  return (await requireJob(deps, actor, id)).state;
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
  return (await findLog(deps.database.orm, id)) ?? '';
}

export async function jobLedger(deps: Deps, actor: Actor, id: string): Promise<LedgerEpoch[]> {
  const { settings } = await requireJob(deps, actor, id);
  return ledgerEpochs(await listLedger(deps.database.orm, id), settings.drawsPerEpoch);
}

export async function jobArtifacts(deps: Deps, actor: Actor, id: string) {
  return (await requireJob(deps, actor, id)).artifacts;
}

const metricView = ({ jobId: _, sequence: __, ...metric }: MetricRow) => metric;

/** Settings, snapshots and last metrics of several jobs, in the order asked for. */
export async function compareJobs(deps: Deps, actor: Actor, ids: string[]) {
  const found = await Promise.all(ids.map((id) => requireJob(deps, actor, id)));
  const last = await listLastMetrics(deps.database.orm, ids);
  return (await jobViews(deps, found)).map(
    ({ id, state, snapshot, settings, seed, verifiedDraws, summary, monitors }) => {
      const metrics = last.filter(({ jobId }) => jobId === id).map(metricView);
      return { id, state, snapshot, settings, seed, verifiedDraws, summary, monitors, metrics };
    },
  );
}
