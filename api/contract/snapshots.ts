// Snapshots: immutable target, draw and loss numbers of every case, with the rules' own account.

import { z } from 'zod';
import { ruleDocumentSchema } from './rule-sets.ts';
import {
  digestSchema,
  type Fold,
  foldSchema,
  foldsSchema,
  largestInteger,
  listQuerySchema,
  reasonSchema,
} from './shared.ts';

export const snapshotHeaderSchema = z
  .object({
    format: z.literal(1),
    dataset: z.string(),
    datasetVersionDigest: digestSchema,
    split: z.string(),
    fold: foldSchema,
    ruleSetDigest: digestSchema,
    floor: z.number(),
    cap: z.number(),
    temper: z.number(),
    strength: z.number(),
    caseCount: z.int(),
    parentDigest: digestSchema.nullable(),
    evidenceDigest: digestSchema.nullable(),
    cause: z.enum(['rules', 'ramp', 'adaptive', 'revert']),
  })
  .meta({ id: 'SnapshotHeader', description: 'METHOD.md section 5: exactly these keys' });
export type SnapshotHeader = z.infer<typeof snapshotHeaderSchema>;

export const groupShareSchema = z.object({
  attribute: z.string(),
  value: z.string(),
  caseCount: z.int(),
  targetShare: z.number(),
  drawShare: z.number(),
  effectiveTargetShare: z.number(),
});
export type GroupShare = z.infer<typeof groupShareSchema>;

export const diagnosticsSchema = z
  .object({
    caseCount: z.int(),
    effectiveFraction: z.number(),
    objectiveShift: z.number(),
    maxLossFactor: z.number(),
    minLossFactor: z.number(),
    divergence: z.object({ kl: z.number(), totalVariation: z.number() }),
    atFloor: z.int(),
    atCap: z.int(),
    drawsUntilSeen: z.number(),
    sharedValidation: z.number(),
    missing: z.record(z.string(), z.int()),
    groups: z.array(groupShareSchema),
    largest: z.array(z.object({ id: z.string(), ratio: z.number() })),
  })
  .meta({ id: 'Diagnostics' });
export type Diagnostics = z.infer<typeof diagnosticsSchema>;

export const excludedCaseSchema = z.object({ id: z.string(), reason: z.string() });
export type ExcludedCase = z.infer<typeof excludedCaseSchema>;

export const whatIfSchema = z
  .strictObject({
    version: z.int().min(1).max(largestInteger),
    split: z.string(),
    fold: foldSchema,
    rules: ruleDocumentSchema.optional(),
    ruleSet: z.string().optional(),
  })
  .refine((body) => (body.rules === undefined) !== (body.ruleSet === undefined), {
    error: 'give either rules (a document) or ruleSet (a stored one, as name@version)',
  })
  .meta({ id: 'WhatIf' });
export type WhatIf = z.infer<typeof whatIfSchema>;

export const whatIfAnswerSchema = z.object({
  diagnostics: diagnosticsSchema,
  excluded: z.array(excludedCaseSchema),
  largest: diagnosticsSchema.shape.largest,
  groups: z.array(groupShareSchema),
  /** What will become of the draws during a run, a sentence each; none: they stay. */
  changes: z.array(z.string()),
});

export const freezeSchema = z
  .strictObject({
    version: z.int().min(1).max(largestInteger),
    split: z.string(),
    fold: foldSchema.optional(),
    /** Several folds at once, all or none. */
    folds: foldsSchema.optional(),
    ruleSet: z.string(),
    reason: reasonSchema,
    acceptLowEffective: z.boolean().optional(),
  })
  .refine((body) => (body.fold === undefined) !== (body.folds === undefined), {
    path: ['fold'],
    error: 'give either fold (one) or folds (a list)',
  })
  .meta({ id: 'FreezeSnapshot' });
type FreezeRequest = z.infer<typeof freezeSchema>;
/** What a snapshot of one fold is frozen from. */
export type Freeze = Omit<FreezeRequest, 'fold' | 'folds'> & { fold: Fold };
/** The same for several folds. */
export type FreezeFolds = Omit<FreezeRequest, 'fold' | 'folds'> & { folds: Fold[] };

export const snapshotSchema = z
  .object({
    id: z.string(),
    digest: digestSchema,
    scoresDigest: digestSchema.nullable().meta({
      description:
        'SHA-256 over the scores as big-endian float64, in digest order; null where older',
    }),
    dataset: z.string(),
    version: z.int(),
    ruleSet: z.string(),
    header: snapshotHeaderSchema,
    diagnostics: diagnosticsSchema,
    excluded: z.array(excludedCaseSchema),
    createdAt: z.string(),
    createdBy: z.string(),
    reason: z.string(),
    parent: z.string().nullable(),
    /** Made because a monitor that reads the validation asked for it. */
    validationInformed: z.boolean(),
    /** Shared by the snapshots that one request made for several folds. */
    batch: z.string().nullable(),
  })
  .meta({ id: 'Snapshot' });
export type Snapshot = z.infer<typeof snapshotSchema>;

export const snapshotBatchSchema = z
  .object({
    /** Null where nothing was new and the snapshots were not made together. */
    batch: z.string().nullable(),
    items: z.array(snapshotSchema),
  })
  .meta({ id: 'SnapshotBatch' });
export type SnapshotBatch = z.infer<typeof snapshotBatchSchema>;

export const snapshotQuerySchema = listQuerySchema.extend({ batch: z.string().optional() });

/** One case of a snapshot as streamed: units out of 2^52 as decimal strings. */
export const snapshotCaseSchema = z
  .object({
    id: z.string(),
    targetUnits: z.string(),
    drawUnits: z.string(),
    lossFactor: z.number(),
    score: z.number(),
  })
  .meta({ id: 'SnapshotCase' });
export type SnapshotCase = z.infer<typeof snapshotCaseSchema>;

/** Up to 8,192 cases of a snapshot as columns, in digest order. Units are out of 2^52. */
export type SnapshotChunk = {
  ids: string[];
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
  scores: Float64Array;
};

export const explanationSchema = z
  .object({
    id: z.string(),
    terms: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        list: z.enum(['target', 'sampling']),
        factor: z.number(),
        because: z.string(),
      }),
    ),
    score: z.number(),
    targetProbability: z.number(),
    drawProbability: z.number(),
    lossFactor: z.number(),
    boundedBy: z.enum(['floor', 'cap']).nullable(),
    /** How a child snapshot came from these terms to its draw probability; null for no child. */
    mix: z.string().nullable(),
  })
  .meta({ id: 'Explanation' });

export const drawsQuerySchema = z.object({
  seed: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  epoch: z.coerce.number().int().min(0),
  draws: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 26),
  from: z.coerce.number().int().min(0).optional(),
  count: z.coerce.number().int().min(0).optional(),
});
export type DrawsQuery = z.infer<typeof drawsQuerySchema>;
