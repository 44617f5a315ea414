// The trainer protocol: everything that passes between the service and the trainer of one attempt.
// Both trainers and the service are written against these schemas; names are fixed by API.md.

import { z } from 'zod';
import { channelsSchema, labelsSchema } from './datasets.ts';
import { trainingPlanSchema } from './plans.ts';
import { monitorsSchema, settingsSchema } from './settings.ts';
import { digestSchema, largestInteger } from './shared.ts';
import { excludedCaseSchema, snapshotHeaderSchema } from './snapshots.ts';

const wholeNumber = z.int().min(0).max(largestInteger);
const caseId = z.string().min(1).max(200);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const units = z.string().regex(/^(0|[1-9][0-9]{0,15})$/);

/** SHA-256 of a file as people write it: with or without `sha256:`; read as bare lower-case hex. */
export const fileHashSchema = z
  .string()
  .regex(/^(sha256:)?[0-9a-fA-F]{64}$/)
  .transform((text) => text.slice(-64).toLowerCase());

/** One line of `GET /v1/trainer/snapshot`, in digest order; units are decimal strings of 2^52. */
export const snapshotCaseSchema = z.looseObject({
  id: caseId,
  targetUnits: units,
  drawUnits: units,
  lossFactor: z.number().nonnegative(),
  score: z.number().nullable().optional(),
});

/** Answer of `GET /v1/trainer/job`. `nextSequence` is one more than the last report stored. */
export const trainerJobSchema = z.looseObject({
  id: z.string().min(1),
  attempt: wholeNumber,
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  settings: settingsSchema,
  monitors: monitorsSchema.default({}),
  /** What epoch 0 is drawn by. */
  snapshot: z.looseObject({ digest: digestSchema, header: snapshotHeaderSchema }),
  /** What each epoch is drawn by: the last one whose `fromEpoch` is not after it. */
  snapshots: z.array(z.looseObject({ digest: digestSchema, fromEpoch: wholeNumber })).default([]),
  labels: labelsSchema,
  channels: channelsSchema,
  groups: z.array(z.string()).default([]),
  nextSequence: wholeNumber.optional(),
});

/** A file of a case: path relative to CW_DATA, as in nnU-Net's raw folder. */
export const caseFileSchema = z.looseObject({ path: z.string().min(1), sha256: fileHashSchema });

/**
 * One line of `GET /v1/trainer/cases`. `groups` maps an attribute to its value as text (a label set
 * joined by `+`); `scoreDecile` is 0 (lowest) to 9 among the training side's scores, or null.
 */
export const trainerCaseSchema = z.looseObject({
  id: caseId,
  side: z.enum(['train', 'val']),
  groups: z.record(z.string(), z.string()).default({}),
  scoreDecile: z.int().min(0).max(9).nullable().default(null),
  files: z.array(caseFileSchema),
});

/** Names of metrics that the trainers report; others may be added by a trainer. */
export const metricNames = [
  'loss',
  'caseLoss',
  'validationLoss',
  'dice',
  'diceMean',
  'volumeRatio',
  'gradientNorm',
  'clippedShare',
  'learningRate',
  'secondsPerStep',
  'waitSeconds',
  'skippedSteps',
  'nonFinite',
] as const;

/**
 * One number. `group` is `attribute=value`, `class` a label's name, `step` counts from the start.
 */
export const metricSchema = z.strictObject({
  name: z.string().min(1).max(100),
  value: z.number(),
  step: wholeNumber,
  epoch: wholeNumber.optional(),
  group: z.string().min(1).max(400).optional(),
  class: z.string().min(1).max(200).optional(),
});

/** Answer of `GET /v1/trainer/snapshot` with `Accept: application/json`: lines and their header. */
export const snapshotDocumentSchema = z.looseObject({
  digest: digestSchema,
  scoresDigest: digestSchema.nullish(),
  header: snapshotHeaderSchema,
  /** Cases of the fold's training side that the snapshot leaves out, and why. */
  excluded: z.array(excludedCaseSchema).optional(),
  cases: z.array(snapshotCaseSchema).min(1),
});

/** Draws from ... from+draws-1 of an epoch's plan, and the SHA-256 over their ids. */
export const ledgerRangeSchema = z.strictObject({
  epoch: wholeNumber,
  snapshot: digestSchema,
  from: wholeNumber,
  draws: z.int().min(1).max(largestInteger),
  digest: digestSchema,
});

/**
 * Mean unweighted loss of a case over the `seen` draws since the last report that named it. They
 * lie in one range of draws, which begins at draw `from` of `epoch`; left out, in the last range
 * of the report's ledger. Losses of which neither says so are kept, and no evidence.
 */
export const caseLossSchema = z.strictObject({
  id: caseId,
  loss: z.number(),
  seen: z.int().min(1).max(largestInteger),
  epoch: wholeNumber.optional(),
  from: wholeNumber.optional(),
});

/** What one report may hold at most. */
export const reportLimits = { metrics: 5_000, caseLosses: 100_000, bytes: 1_048_576, log: 65_536 };

/** What an attempt computes on, once its self-test has passed; `worst` is a relative error. */
export const trainerEnvironmentSchema = z.strictObject({
  backend: z.string().min(1).max(100),
  /** Why this backend, and why not a faster one. */
  reason: z.string().max(4000),
  device: z.string().min(1).max(400),
  versions: z.record(z.string().max(100), z.string().max(100)),
  selfTest: z.strictObject({ operations: wholeNumber, worst: z.number().nonnegative() }).optional(),
});

/** Body of `POST /v1/trainer/reports`. Sequences rise within an attempt, from 0. */
export const reportSchema = z.strictObject({
  sequence: wholeNumber,
  metrics: z.array(metricSchema).max(reportLimits.metrics).default([]),
  ledger: z.array(ledgerRangeSchema).max(10_000).optional(),
  caseLosses: z.array(caseLossSchema).max(reportLimits.caseLosses).optional(),
  log: z.string().max(reportLimits.log).optional(),
  progress: z.strictObject({ step: wholeNumber, steps: wholeNumber }).optional(),
  environment: trainerEnvironmentSchema.optional(),
  plan: trainingPlanSchema.optional(),
});

/** Answer to a report: stop now, or switch to another snapshot from the start of an epoch. */
export const reportAnswerSchema = z.looseObject({
  accepted: z.literal(true),
  stop: z.boolean(),
  snapshot: z.looseObject({ digest: digestSchema, fromEpoch: wholeNumber }).optional(),
});

const diceByClass = z.record(z.string(), z.number().nullable());

/** What a finished run says of itself; `dice` has one entry per class and `mean`. */
export const summarySchema = z.looseObject({
  dice: diceByClass.optional(),
  groups: z.record(z.string(), diceByClass).optional(),
  steps: wholeNumber.optional(),
  seconds: z.number().nonnegative().optional(),
  backend: z.string().optional(),
});

/** A file that the run leaves under CW_OUT; `path` is relative to it. */
export const artifactSchema = z.strictObject({
  name: z.string().min(1).max(200),
  path: z.string().min(1).max(1000),
  sha256: hex64,
  bytes: z.int().min(0),
});

/** Body of `POST /v1/trainer/finish`. */
export const finishSchema = z.strictObject({
  outcome: z.enum(['succeeded', 'failed']),
  summary: summarySchema.default({}),
  artifacts: z.array(artifactSchema).max(1000).optional(),
  error: z.string().max(10_000).optional(),
});

export const finishAnswerSchema = z.object({ accepted: z.literal(true) });

export type SnapshotCase = z.output<typeof snapshotCaseSchema>;
export type SnapshotDocument = z.output<typeof snapshotDocumentSchema>;
export type TrainerJob = z.output<typeof trainerJobSchema>;
export type TrainerCase = z.output<typeof trainerCaseSchema>;
export type MetricName = (typeof metricNames)[number];
export type TrainerEnvironment = z.output<typeof trainerEnvironmentSchema>;
export type Metric = z.output<typeof metricSchema>;
export type LedgerRange = z.output<typeof ledgerRangeSchema>;
export type CaseLoss = z.output<typeof caseLossSchema>;
/** A case's mean loss over `seen` draws. */
export type ReportedLoss = Pick<CaseLoss, 'loss' | 'seen'>;
/** What a run knows of its cases, in digest order. One never seen has loss 0 and seen 0. */
export type CaseEvidence = {
  /** Exponential average of the mean unweighted loss. */
  losses: Float64Array;
  /** Draws that it was seen in, over the whole run. */
  seen: Float64Array;
};
export type Report = z.output<typeof reportSchema>;
export type ReportInput = z.input<typeof reportSchema>;
export type ReportAnswer = z.output<typeof reportAnswerSchema>;
export type Summary = z.output<typeof summarySchema>;
export type Artifact = z.output<typeof artifactSchema>;
export type FinishInput = z.input<typeof finishSchema>;
export type Finish = z.output<typeof finishSchema>;
