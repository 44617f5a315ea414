// What an attempt is made of: its key, what its engine is told, its row; and the attempt that
// follows by itself on a failure of the infrastructure.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { LaunchRequest, LaunchSpec } from '../../launchers/launcher.ts';
import type { NextAttempt } from '../../store/attempt-ends.ts';
import { type AttemptRow, type JobAttempt, listAttempts } from '../../store/attempts.ts';
import type { JobRow } from '../../store/jobs.ts';
import { requireTarget } from '../targets.ts';
import { datasetOfJob } from './read.ts';
import { requireNoWithdrawn } from './withdrawn.ts';

export function launchKeyOf(jobId: string, attempt: number): string {
  return `cw-${jobId}-${attempt}`;
}

/** What an engine is told of an attempt. */
export function launchSpec(
  deps: Deps,
  {
    job,
    launchKey,
    dataset,
  }: {
    job: Pick<JobRow, 'id' | 'target' | 'image' | 'resources' | 'settings'>;
    launchKey: string;
    dataset: string;
  },
): LaunchSpec {
  const target = requireTarget(deps, job.target);
  // An agent's own target has the folders; where this one names datasets, it names all.
  const anyDataset = target.engine === 'agent' && Object.keys(target.dataPaths).length === 0;
  const known = Object.hasOwn(target.dataPaths, dataset);
  if (!known && !anyDataset) {
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" has no images of dataset "${dataset}": add it to dataPaths in CW_TARGETS.`,
      { errors: [{ pointer: '/target', detail: `dataPaths has no "${dataset}"` }] },
    );
  }
  return {
    launchKey,
    jobId: job.id,
    image: job.image,
    trainer: job.settings.trainer,
    api: target.api ?? deps.publicUrl,
    dataset,
    dataPath: known ? target.dataPaths[dataset] : '',
    resources: job.resources,
    target,
  };
}

export function attemptRow(
  deps: Deps,
  job: Pick<JobRow, 'id'>,
  attempt: number,
  request: LaunchRequest,
): AttemptRow {
  return {
    jobId: job.id,
    attempt,
    launchKey: launchKeyOf(job.id, attempt),
    state: 'created',
    reason: null,
    tokenDigest: null,
    revokedAt: null,
    submitLeaseUntil: null,
    notBefore: null,
    request,
    handle: null,
    observation: null,
    finish: null,
    environment: null,
    plan: null,
    lastSequence: -1,
    lastContactAt: null,
    missingPolls: 0,
    missingSince: null,
    stopToldAt: null,
    cleanedAt: null,
    agent: null,
    agentHeardAt: null,
    agentWord: null,
    createdAt: deps.now(),
    startedAt: null,
    endedAt: null,
  };
}

/** Milliseconds before the first automatic attempt; each further one waits four times as long. */
const firstPauseMs = 10_000;
const longestPauseMs = 600_000;

/**
 * The attempt that follows by itself on one that failed for its infrastructure. Null where it ended
 * for another reason, its `retries` are used up since a person started it, the snapshot holds
 * withdrawn cases (a person has to accept them), or the target takes it no longer.
 */
export async function nextAttempt(
  deps: Deps,
  { job, attempt }: JobAttempt,
  { state, reason }: { state: JobState; reason: StateReason | null },
): Promise<NextAttempt | null> {
  const failed = state === 'failed' || state === 'lost';
  if (!failed || reason?.code !== 'infrastructure') return null;
  if (job.cancelRequestedAt !== null || job.stopReason !== null) return null;
  const attempts = await listAttempts(deps.database.orm, [job.id]);
  const byPerson = attempts.findLastIndex(({ notBefore }) => notBefore === null);
  const used = attempts.length - 1 - byPerson;
  if (used >= (job.resources.retries ?? 0)) return null;
  const number = attempt.attempt + 1;
  try {
    const snapshot = { id: job.snapshotId, datasetId: job.datasetId };
    const withdrawn = await requireNoWithdrawn(deps, snapshot);
    const launchKey = launchKeyOf(job.id, number);
    const spec = launchSpec(deps, { job, launchKey, dataset: await datasetOfJob(deps, job) });
    const request = (await deps.launcherOf(spec.target)).prepare(spec);
    const at = deps.now();
    const pauseMs = Math.min(firstPauseMs * 4 ** used, longestPauseMs);
    const notBefore = new Date(at.getTime() + pauseMs);
    const row = { ...attemptRow(deps, job, number, request), notBefore };
    return { row, withdrawn, audit: retryEntry(job, { at, number, reason }) };
  } catch (cause) {
    if (!(cause instanceof ProblemError)) throw cause;
    deps.log('warn', `${attempt.launchKey} gets no further attempt`, { cause });
    return null;
  }
}

function retryEntry(
  { id, workspaceId }: JobRow,
  { at, number, reason }: { at: Date; number: number; reason: StateReason },
): NextAttempt['audit'] {
  return {
    workspaceId,
    at,
    actor: 'service',
    action: 'job.retried',
    subject: `job/${id}`,
    reason: reason.detail,
    detail: { attempt: number },
  };
}
