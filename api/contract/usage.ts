// GPU hours: what is asked for, and what is said of each job, dataset, actor or target.

import { z } from 'zod';
import { listQuerySchema } from './shared.ts';

export const usageKinds = ['job', 'dataset', 'actor', 'target'] as const;
export type UsageKind = (typeof usageKinds)[number];

const momentSchema = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()], {
    error: 'a time is 2026-03-01T09:00:00Z, or 2026-03-01 for the beginning of that day in UTC',
  })
  .refine((text) => Date.parse(text) >= 0, 'a time is in 1970 or later');

export const usageQuerySchema = listQuerySchema.extend({
  by: z.enum(usageKinds, {
    error: `say by what GPU hours are counted: by=${usageKinds.join(', by=')}`,
  }),
  from: momentSchema.optional().describe('the first moment that counts; else 30 days before to'),
  to: momentSchema.optional().describe('the first moment that no longer counts; else now'),
});

const sumsSchema = z.object({
  /** GPUs of each attempt times its hours. */
  gpuHours: z.number(),
  /** Hours of the attempts, with and without GPUs: what they cost a lab without any. */
  hours: z.number(),
  attempts: z.int(),
  jobs: z.int(),
  /** Those of the attempts that have not ended. */
  running: z.int(),
});
export type UsageSums = z.output<typeof sumsSchema>;

export const usageItemSchema = sumsSchema.extend({
  /** Id of a job or dataset, name of an actor or target. */
  key: z.string(),
  name: z.string(),
});
export type UsageItem = z.output<typeof usageItemSchema>;

/** The most GPU hours first; `total` is over all pages. */
export const usageSchema = z
  .object({
    by: z.enum(usageKinds),
    from: z.string(),
    to: z.string(),
    items: z.array(usageItemSchema),
    total: sumsSchema,
    nextCursor: z.string().nullable(),
  })
  .meta({ id: 'Usage' });
export type Usage = z.output<typeof usageSchema>;
