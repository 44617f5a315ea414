// Launching a job, or one for each fold of an alias: intents and deterministic launch keys are
// stored first, then submitted.

import type { Job, JobBatch, LaunchAlias, LaunchJob } from '../../contract/jobs.ts';
import type { Fold } from '../../contract/shared.ts';
import type { Actor, Deps } from '../../deps.ts';
import { type InputFault, ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { LaunchRequest } from '../../launchers/launcher.ts';
import { insertJobs } from '../../store/jobs.ts';
import { requireAlias } from '../aliases.ts';
import { requireNamedSnapshot, requireSnapshot } from '../snapshots/read.ts';
import { launchKeyOf } from './attempts.ts';
import { requireGpuHours } from './gpu-hours.ts';
import { type PreparedJob, prepareJob, requireRunnable } from './prepare.ts';
import { getJob } from './read.ts';
import { trySubmit } from './submit.ts';

/** The exact request that a launch would send to the engine, without its token. Stores nothing. */
export async function dryRunJob(
  deps: Deps,
  actor: Actor,
  input: LaunchJob,
): Promise<{ request: LaunchRequest }> {
  return { request: requestOf(await prepareOne(deps, actor, input)) };
}

/** The same for each fold of an alias. */
export async function dryRunAlias(
  deps: Deps,
  actor: Actor,
  input: LaunchAlias,
): Promise<{ items: { fold: Fold; request: LaunchRequest }[] }> {
  const { prepared } = await prepareFolds(deps, actor, input);
  return { items: prepared.map((one) => ({ fold: one.fold, request: requestOf(one) })) };
}

function requestOf({ launch: { job, attempt } }: PreparedJob): LaunchRequest {
  return { ...(attempt.request as LaunchRequest), launchKey: launchKeyOf(job.id, 1) };
}

/**
 * Launches a job. Throws `unprocessable` for what the target cannot do and `conflict` for withdrawn
 * cases that are not accepted, before anything is stored.
 */
export async function launchJob(deps: Deps, actor: Actor, input: LaunchJob): Promise<Job> {
  const [job] = await launchAll(deps, actor, [await prepareOne(deps, actor, input)]);
  return job;
}

/**
 * Launches a job for each fold of an alias, or for those that are named, all or none: every job is
 * checked before the first one is stored, and all are stored in one transaction. Throws what
 * `launchJob` throws, with the fold.
 */
export async function launchAlias(deps: Deps, actor: Actor, input: LaunchAlias): Promise<JobBatch> {
  const { batch, prepared } = await prepareFolds(deps, actor, input);
  return { batch, items: await launchAll(deps, actor, prepared) };
}

async function launchAll(deps: Deps, actor: Actor, prepared: PreparedJob[]): Promise<Job[]> {
  const launches = prepared.map(({ launch }) => launch);
  const entries = prepared.map(({ entry }) => entry);
  await insertJobs(deps.database.orm, launches, entries);
  // A request waits for one time-out of an engine that is away, not for one per job.
  for (const { launch, dataset } of prepared) {
    if (!(await trySubmit(deps, { jobId: launch.job.id, attempt: 1, dataset }))) break;
  }
  return await Promise.all(launches.map(({ job }) => getJob(deps, actor, job.id)));
}

async function prepareOne(deps: Deps, actor: Actor, input: LaunchJob): Promise<PreparedJob> {
  const target = requireRunnable(deps, input);
  const { row, alias } = await requireNamedSnapshot(deps, actor, input.snapshot);
  const source = { snapshot: row, alias, batchId: null };
  const one = await prepareJob(deps, actor, { target, input, source });
  await requireGpuHours(deps, target, [one.launch.job.resources]);
  return one;
}

async function prepareFolds(
  deps: Deps,
  actor: Actor,
  { dataset, alias: name, folds, ...input }: LaunchAlias,
): Promise<{ batch: string; prepared: (PreparedJob & { fold: Fold })[] }> {
  const target = requireRunnable(deps, input);
  const move = await requireAlias(deps, actor, { dataset, alias: name });
  const held = Object.keys(move.snapshots);
  const named = folds?.map(String) ?? held;
  requireHeld(named, { name, held });
  const batch = newId(deps);
  const alias = { name, number: move.number };
  const prepared: (PreparedJob & { fold: Fold })[] = [];
  for (const fold of named) {
    const snapshot = await requireSnapshot(deps, actor, move.snapshots[fold]);
    const source = { snapshot, alias, batchId: batch };
    const one = prepareJob(deps, actor, { target, input, source });
    const job = await one.catch((cause) => Promise.reject(ofFold(cause, fold)));
    prepared.push({ ...job, fold: snapshot.header.fold });
  }
  const asked = prepared.map(({ launch }) => launch.job.resources);
  await requireGpuHours(deps, target, asked);
  return { batch, prepared };
}

function requireHeld(asked: string[], { name, held }: { name: string; held: string[] }): void {
  const errors: InputFault[] = asked.flatMap((fold, place) =>
    held.includes(fold) ? [] : [{ pointer: `/folds/${place}`, detail: `no fold ${fold}` }],
  );
  if (errors.length === 0) return;
  throw new ProblemError(
    'unprocessable',
    `Alias "${name}" holds the folds ${held.join(', ')} only, and no job was launched.`,
    { errors },
  );
}

function ofFold(cause: unknown, fold: string): unknown {
  if (!(cause instanceof ProblemError)) return cause;
  const { kind, detail, errors } = cause;
  return new ProblemError(kind, `Fold ${fold}, and so no job: ${detail}`, { errors, cause });
}
