// Where a case was used: in which versions and snapshots it stands, which jobs saw it, how often.

import { z } from 'zod';
import { jobStates } from './jobs.ts';
import { digestSchema } from './shared.ts';
import { withdrawalSchema } from './withdrawals.ts';

/** The newest of each list; the totals count all. */
export const usageLimit = 500;

export const caseUsageQuerySchema = z.object({
  /** One job alone, so that all of the counting goes into it. */
  job: z.string().max(100).optional(),
});

/**
 * Draws of one case, from epochs whose every draw was verified and from no others. An epoch that a
 * resumed job repeated in part counts once.
 */
export const caseDrawsSchema = z.object({
  /** Draws in the epochs that were replayed for this answer or an earlier one. */
  count: z.int(),
  epochsCounted: z.int(),
  /** Bounds of the draws in all verified epochs (METHOD.md section 6). */
  atLeast: z.int(),
  atMost: z.int(),
  epochsVerified: z.int(),
  /** Epochs that were begun and are not verified: in those the case may have been drawn as well. */
  unverifiedEpochs: z.int(),
  /** Epochs of the job's settings. */
  epochsTotal: z.int(),
});
export type CaseDraws = z.infer<typeof caseDrawsSchema>;

export const caseUsageSchema = z
  .object({
    caseId: z.string(),
    withdrawn: withdrawalSchema.nullable(),
    versions: z.array(z.int()),
    snapshots: z.array(
      z.object({
        id: z.string(),
        digest: digestSchema,
        version: z.int(),
        split: z.string(),
        fold: z.string(),
        side: z.enum(['train', 'excluded']),
        drawProbability: z.number(),
        createdAt: z.string(),
      }),
    ),
    snapshotsTotal: z.int(),
    jobs: z.array(
      z.object({
        id: z.string(),
        state: z.enum(jobStates),
        snapshot: digestSchema,
        /** "val": the network was judged by the case and never trained on it. */
        side: z.enum(['train', 'val']),
        drawn: caseDrawsSchema.nullable(),
      }),
    ),
    jobsTotal: z.int(),
    /** Those of the jobs that succeeded, so that there is a network. */
    models: z.array(z.string()),
  })
  .meta({ id: 'CaseUsage' });
export type CaseUsage = z.infer<typeof caseUsageSchema>;
