// Aliases: a name of a dataset for one snapshot per fold. Every move is kept; where the alias is
// protected, it needs approvals.

import { z } from 'zod';
import { digestSchema, largestInteger, nameSchema, reasonSchema } from './shared.ts';

/** A fold as a key: "0", "1" ... or "all". */
export const foldKeySchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,2}|1000|all)$/, 'a fold is a number from 0 to 1000, or all');

export const aliasParamSchema = z.object({ alias: nameSchema });

export const putAliasSchema = z
  .strictObject({
    /** Fold to snapshot: all that the alias stands for from now on. */
    snapshots: z
      .record(foldKeySchema, z.string())
      .refine((folds) => Object.keys(folds).length > 0, { error: 'name a snapshot for a fold' }),
    reason: reasonSchema,
    /** Whether later moves need approvals; left out, it stays as it is. */
    protected: z.boolean().optional(),
    /** The number at which the alias must stand now; 0 where it must not be there yet. */
    expected: z.int().min(0).max(largestInteger).optional(),
  })
  .meta({ id: 'PutAlias' });
export type PutAlias = z.infer<typeof putAliasSchema>;

const namedSnapshot = z.object({ id: z.string(), digest: digestSchema });

export const aliasMoveSchema = z
  .object({
    number: z.int(),
    snapshots: z.record(foldKeySchema, namedSnapshot),
    protected: z.boolean(),
    /** Ids of the approvals that allowed the move. */
    approvals: z.array(z.string()),
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
  })
  .meta({ id: 'AliasMove' });
export type AliasMove = z.infer<typeof aliasMoveSchema>;

export const aliasSchema = aliasMoveSchema
  .extend({
    name: z.string(),
    dataset: z.string(),
    /** Cases of its snapshots that were withdrawn since those were frozen. */
    withdrawn: z.array(z.string()),
    /** Every move, the first one first. */
    history: z.array(aliasMoveSchema),
  })
  .meta({ id: 'Alias' });
export type Alias = z.infer<typeof aliasSchema>;
