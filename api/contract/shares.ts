// Shares of subgroups: what a snapshot gives each of them, beside what its validation side holds.

import { z } from 'zod';
import { digestSchema } from './shared.ts';
import { groupShareSchema } from './snapshots.ts';

const binsSchema = z
  .string()
  .max(2_000)
  .transform((text) =>
    text.split(',').map((edge) => (edge.trim() === '' ? Number.NaN : Number(edge))),
  )
  .refine(
    (edges) =>
      edges.length <= 50 &&
      edges.every((edge, k) => Number.isFinite(edge) && (k === 0 || edge > edges[k - 1])),
    'bins are at most 50 numbers with commas, each above the one before, as bins=1,10',
  );

export const sharesQuerySchema = z
  .object({
    by: z.string().max(100).optional().meta({ description: 'One attribute instead of the groups' }),
    bins: binsSchema.optional().meta({ description: 'Edges of the bins of a number, as 1,10' }),
  })
  .refine(({ by, bins }) => by !== undefined || bins === undefined, {
    path: ['bins'],
    error: 'bins are of an attribute: name it with by',
  });
export type SharesQuery = z.output<typeof sharesQuerySchema>;

export const sharesSchema = z
  .object({
    snapshot: digestSchema,
    rows: z.array(
      groupShareSchema.extend({
        validationCount: z.int().nullable(),
        validationShare: z.number().nullable(),
      }),
    ),
  })
  .meta({ id: 'SubgroupShares' });
export type SubgroupShares = z.infer<typeof sharesSchema>;
