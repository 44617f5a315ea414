// What a launch stores, made before anything is stored: a job, its first attempt with the request
// to the engine, and its audit entry.

import type { LaunchJob } from '../../contract/jobs.ts';
import { type Resources, resourcesSchema } from '../../contract/settings.ts';
import type { LaunchTarget } from '../../contract/targets.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { AuditEntry } from '../../store/audit.ts';
import type { JobRow, NewJob } from '../../store/jobs.ts';
import type { SnapshotRow } from '../../store/snapshots.ts';
import { entryOf } from '../entries.ts';
import { githubOf } from '../github/sessions.ts';
import type { AliasUse } from '../snapshots/aliased.ts';
import { requireTarget } from '../targets.ts';
import { attemptRow, launchKeyOf, launchSpec } from './attempts.ts';
import { usualTimeout } from './gpu-hours.ts';
import { requireNoWithdrawn, withdrawnDetail } from './withdrawn.ts';

/** What is asked for, apart from the snapshot. */
export type LaunchInput = Omit<LaunchJob, 'snapshot'>;

/** The snapshot that a job draws by, the alias that named it, and the batch that it is one of. */
export type LaunchSource = {
  snapshot: SnapshotRow;
  alias: AliasUse | null;
  batchId: string | null;
};

function resourcesOf(target: LaunchTarget, input: LaunchInput): Resources {
  const said = { ...target.defaults, ...input.resources };
  const resources = resourcesSchema.parse(said);
  if (said.timeoutSeconds !== undefined) return resources;
  return { ...resources, timeoutSeconds: usualTimeout(target, resources) };
}

function requireImage(target: LaunchTarget, image: string | undefined): void {
  const takesNone =
    target.engine === 'local' || (target.engine === 'agent' && target.images.length === 0);
  if (takesNone) {
    if (image === undefined) return;
    throw new ProblemError(
      'unprocessable',
      `Target "${target.name}" runs no image: leave image out.`,
      {
        errors: [{ pointer: '/image', detail: 'this target takes none' }],
      },
    );
  }
  if (image !== undefined && target.images.includes(image)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" runs only: ${target.images.join(', ') || 'no image yet'}.`,
    { errors: [{ pointer: '/image', detail: 'not an image of this target' }] },
  );
}

function jobRow(
  deps: Deps,
  actor: Actor,
  { input, source, resources }: { input: LaunchInput; source: LaunchSource; resources: Resources },
): JobRow {
  return {
    id: newId(deps),
    workspaceId: actor.workspaceId,
    datasetId: source.snapshot.datasetId,
    snapshotId: source.snapshot.id,
    target: input.target,
    image: input.image ?? null,
    seed: input.seed,
    settings: input.settings,
    resources,
    monitors: input.monitors,
    monitorStates: {},
    stopReason: null,
    revertRequested: null,
    validationInformed: false,
    reason: input.reason,
    state: 'created',
    stateReason: null,
    attempt: 1,
    cancelRequestedAt: null,
    metricCount: 0,
    progress: null,
    summary: null,
    artifacts: [],
    batchId: source.batchId,
    alias: source.alias,
    github: githubOf(actor),
    createdAt: deps.now(),
    createdBy: actor.name,
    startedAt: null,
    endedAt: null,
  };
}

/** A job as it will be stored. */
export type PreparedJob = { launch: NewJob; dataset: string; entry: AuditEntry };

/** Throws `unprocessable` for what the target or the trainer cannot do, whatever the snapshot. */
export function requireRunnable(deps: Deps, input: LaunchInput): LaunchTarget {
  const target = requireTarget(deps, input.target, '/target');
  requireImage(target, input.image);
  const { allowBatchDice, trainer } = input.settings;
  if (!allowBatchDice || trainer === 'nnunet') return target;
  throw new ProblemError(
    'unprocessable',
    'allowBatchDice: this trainer computes Dice per case only; leave it out.',
    {
      errors: [{ pointer: '/settings/allowBatchDice', detail: `not for trainer "${trainer}"` }],
    },
  );
}

// A child belongs to the run that made it: the losses of an adaptive one come from a model that has
// trained on those cases (METHOD.md section 8).
function requireNoChild({ digest, header: { cause } }: SnapshotRow): void {
  if (cause === 'rules') return;
  const detail = `snapshot ${digest} is a child (cause ${cause}) that a running job made for itself; launch with the snapshot that its lineage begins with`;
  throw new ProblemError('unprocessable', detail, { errors: [{ pointer: '/snapshot', detail }] });
}

/**
 * Prepares a job. Throws `unprocessable` for a child snapshot, `conflict` for withdrawn cases that
 * are not accepted.
 */
export async function prepareJob(
  deps: Deps,
  actor: Actor,
  { target, input, source }: { target: LaunchTarget; input: LaunchInput; source: LaunchSource },
): Promise<PreparedJob> {
  const { snapshot, alias, batchId } = source;
  requireNoChild(snapshot);
  const withdrawn = await requireNoWithdrawn(deps, snapshot, input.acceptWithdrawn);
  const job = jobRow(deps, actor, { input, source, resources: resourcesOf(target, input) });
  const dataset = snapshot.header.dataset;
  const spec = launchSpec(deps, { job, launchKey: launchKeyOf(job.id, 1), dataset });
  const launcher = await deps.launcherOf(target);
  const attempt = attemptRow(deps, job, 1, launcher.prepare(spec));
  const entry = entryOf(deps, actor, {
    action: 'job.launched',
    subject: `job/${job.id}`,
    reason: input.reason,
    detail: {
      snapshot: snapshot.digest,
      target: job.target,
      image: job.image,
      seed: job.seed,
      settings: job.settings,
      ...(Object.keys(job.monitors).length === 0 ? {} : { monitors: job.monitors }),
      ...(alias === null ? {} : { alias }),
      ...(batchId === null ? {} : { batch: batchId }),
      ...(actor.github === undefined ? {} : { github: actor.github.claims }),
      ...withdrawnDetail(withdrawn),
    },
  });
  return { launch: { job, attempt, withdrawn }, dataset, entry };
}
