// Jobs: what may be asked for, and what is said of one.

import { z } from 'zod';
import { jobStates } from './job-states.ts';
import { monitorViewsSchema } from './monitors.ts';
import { trainingPlanSchema } from './plans.ts';
import {
  monitorsSchema,
  partialResourcesSchema,
  resourcesSchema,
  settingsSchema,
} from './settings.ts';
import { type Fold, foldSchema, foldsSchema, listQuerySchema, reasonSchema } from './shared.ts';
import { snapshotHeaderSchema } from './snapshots.ts';
import { trainerEnvironmentSchema } from './trainer.ts';

export { endStates, type JobState, jobStates } from './job-states.ts';

export const stateReasonSchema = z.object({
  code: z.enum([
    'user',
    'config',
    'outOfMemory',
    'infrastructure',
    'noReport',
    'instability',
    'external',
  ]),
  detail: z.string(),
});
export type StateReason = z.output<typeof stateReasonSchema>;

export const launchJobSchema = z
  .strictObject({
    /** By id, digest or dataset@alias:fold; or else `dataset` and `alias`, for a job per fold. */
    snapshot: z.string().optional(),
    dataset: z.string().optional(),
    alias: z.string().optional(),
    /** Some of the alias's folds; left out, all of them. */
    folds: foldsSchema.optional(),
    target: z.string(),
    image: z.string().optional(),
    seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
    settings: settingsSchema.prefault({}),
    resources: partialResourcesSchema.default({}),
    monitors: monitorsSchema.default({}),
    reason: reasonSchema,
    acceptWithdrawn: z.boolean().optional(),
    dryRun: z.boolean().optional(),
  })
  .refine((body) => (body.snapshot === undefined) !== (body.alias === undefined), {
    path: ['snapshot'],
    error: 'give either snapshot, or dataset and alias',
  })
  .refine(
    ({ alias, dataset, folds }) =>
      alias === undefined ? dataset === undefined && folds === undefined : dataset !== undefined,
    {
      path: ['dataset'],
      error: 'dataset and alias go together, and folds goes with both',
    },
  )
  .meta({ id: 'LaunchJob' });
type LaunchRequest = z.output<typeof launchJobSchema>;
type LaunchRest = Omit<LaunchRequest, 'snapshot' | 'dataset' | 'alias' | 'folds'>;
/** One job. */
export type LaunchJob = LaunchRest & { snapshot: string };
/** A job for each fold of an alias. */
export type LaunchAlias = LaunchRest & { dataset: string; alias: string; folds?: Fold[] };

export const attemptSchema = z.object({
  attempt: z.int(),
  launchKey: z.string(),
  state: z.enum(jobStates),
  reason: stateReasonSchema.nullable(),
  observation: z.record(z.string(), z.unknown()).nullable(),
  /** Backend, device and versions, once the trainer has said so. */
  environment: trainerEnvironmentSchema.nullable(),
  /** Spacing, patch, network and scales, once the trainer has planned them. */
  plan: trainingPlanSchema.nullable(),
  /** The agent that has it, on a target on which agents launch. */
  agent: z.string().nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  lastContactAt: z.string().nullable(),
  endedAt: z.string().nullable(),
});

const ledgerCounts = z.object({ verified: z.int(), partial: z.int(), mismatch: z.int() });

export const artifactSchema = z.object({
  name: z.string(),
  path: z.string(),
  sha256: z.string(),
  bytes: z.number(),
});

export const jobSchema = z
  .object({
    id: z.string(),
    state: z.enum(jobStates),
    reason: stateReasonSchema.nullable(),
    dataset: z.string(),
    snapshot: z.object({ id: z.string(), digest: z.string(), fold: foldSchema }),
    /** What it draws by from which epoch on; from 0 the one above, unless a ramp begins there. */
    snapshots: z.array(
      z.object({
        digest: z.string(),
        fromEpoch: z.int(),
        cause: snapshotHeaderSchema.shape.cause,
      }),
    ),
    /** The alias that it was launched by, and at which of its moves. */
    alias: z.object({ name: z.string(), number: z.int() }).nullable(),
    /** Shared by the jobs that one request launched. */
    batch: z.string().nullable(),
    target: z.string(),
    image: z.string().nullable(),
    seed: z.int(),
    settings: settingsSchema,
    resources: resourcesSchema,
    monitors: monitorViewsSchema,
    /** A monitor that reads the validation has changed its draws: it is no independent test. */
    validationInformed: z.boolean(),
    /** Why its losses are not weighted exactly, where that is known; empty where they are. */
    inexact: z.array(z.string()),
    launchReason: z.string(),
    progress: z.object({ step: z.int(), steps: z.int() }).nullable(),
    verifiedDraws: ledgerCounts,
    summary: z.record(z.string(), z.unknown()).nullable(),
    attempts: z.array(attemptSchema),
    createdAt: z.string(),
    createdBy: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Job' });
export type Job = z.output<typeof jobSchema>;

export const jobBatchSchema = z
  .object({ batch: z.string(), items: z.array(jobSchema) })
  .meta({ id: 'JobBatch' });
export type JobBatch = z.output<typeof jobBatchSchema>;

const nativeRequestSchema = z.object({ request: z.record(z.string(), z.unknown()) });

/** What the engine would be asked for: one request, or one for each fold of an alias. */
export const dryRunSchema = z.union([
  nativeRequestSchema,
  z.object({ items: z.array(nativeRequestSchema.extend({ fold: foldSchema })) }),
]);

/** One job, or one for each fold of an alias. */
export const launchedSchema = z.union([jobSchema, jobBatchSchema]);

export const compareQuerySchema = z.object({ ids: z.string().min(1) });
export const comparisonSchema = z.object({ items: z.array(z.unknown()) });

export const jobQuerySchema = listQuerySchema.extend({ batch: z.string().optional() });

export const jobActionSchema = z.strictObject({ reason: reasonSchema.optional() });

export const retryJobSchema = jobActionSchema
  .extend({ acceptWithdrawn: z.boolean().optional() })
  .refine(({ acceptWithdrawn, reason }) => !acceptWithdrawn || reason !== undefined, {
    path: ['reason'],
    error: 'say why: withdrawn cases are accepted with a reason only',
  });

export const jobEventSchema = z
  .object({
    sequence: z.int(),
    at: z.string(),
    kind: z.string(),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'JobEvent' });

export const metricQuerySchema = z.object({
  name: z.string().optional(),
  group: z.string().optional(),
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(10_000).default(5_000),
  cursor: z.string().optional(),
});

export const metricPointSchema = z.object({
  sequence: z.int(),
  attempt: z.int(),
  name: z.string(),
  value: z.number(),
  step: z.int(),
  epoch: z.int().nullable(),
  group: z.string().nullable(),
  class: z.string().nullable(),
});

export const ledgerEpochSchema = z
  .object({
    epoch: z.int(),
    snapshot: z.string(),
    state: z.enum(['verified', 'partial', 'mismatch']),
    draws: z.int(),
    drawsPerEpoch: z.int(),
    repeated: z.int(),
    /** Of all draws of the epoch, where one range held them all. */
    digest: z.string().nullable(),
  })
  .meta({ id: 'LedgerEpoch' });
export type LedgerEpoch = z.output<typeof ledgerEpochSchema>;

export const eventQuerySchema = listQuerySchema.extend({
  after: z.coerce.number().int().min(0).default(0),
});
