// Lineage: where a snapshot comes from, what was made of it, and who vouched for it.

import { z } from 'zod';
import { approvalSchema } from './approvals.ts';
import { jobStates } from './jobs.ts';
import { digestSchema, foldSchema } from './shared.ts';
import { snapshotHeaderSchema } from './snapshots.ts';

const relativeSchema = z.object({
  id: z.string(),
  digest: digestSchema,
  cause: snapshotHeaderSchema.shape.cause,
  createdAt: z.string(),
  createdBy: z.string(),
});

/** A time that an alias stood on the snapshot; `until` is null where it still does. */
export const standingSchema = z.object({
  name: z.string(),
  /** Of the move that put it there. */
  number: z.int(),
  fold: foldSchema,
  current: z.boolean(),
  from: z.string(),
  until: z.string().nullable(),
});
export type Standing = z.infer<typeof standingSchema>;

export const lineageSchema = z
  .object({
    /** Digest of the snapshot. */
    snapshot: digestSchema,
    /** The one it was made from, then that one's, up to the root. */
    parents: z.array(relativeSchema),
    /** Those that were made from it, the oldest first. */
    children: z.array(relativeSchema),
    ruleSet: z.object({ name: z.string(), version: z.int(), digest: digestSchema }),
    datasetVersion: z.object({ dataset: z.string(), number: z.int(), digest: digestSchema }),
    /** Jobs that were launched with it, and those whose draws came to it. The oldest first. */
    jobs: z.array(
      z.object({
        id: z.string(),
        state: z.enum(jobStates),
        alias: z.object({ name: z.string(), number: z.int() }).nullable(),
      }),
    ),
    approvals: z.array(approvalSchema),
    aliases: z.array(standingSchema),
  })
  .meta({ id: 'Lineage' });
export type Lineage = z.infer<typeof lineageSchema>;
