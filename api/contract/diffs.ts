// What differs between two snapshots of one dataset, as numbers, groups, cases and rules.

import { z } from 'zod';
import { digestSchema, foldSchema } from './shared.ts';

/** The most case ids that each of `added` and `removed` names. */
export const namedCases = 1_000;

const bothSchema = z.object({ from: z.number(), to: z.number() });

const sideSchema = z.object({
  id: z.string(),
  digest: digestSchema,
  version: z.int(),
  split: z.string(),
  fold: foldSchema,
  ruleSet: z.string(),
  caseCount: z.int(),
});
export type DiffSide = z.infer<typeof sideSchema>;

const sharesSchema = z
  .object({ targetShare: z.number(), drawShare: z.number(), effectiveTargetShare: z.number() })
  .nullable();
export type DiffShares = z.infer<typeof sharesSchema>;

const movedCaseSchema = z
  .object({ targetProbability: z.number(), drawProbability: z.number(), lossFactor: z.number() })
  .nullable();

const moveSchema = z.object({
  id: z.string(),
  from: movedCaseSchema,
  to: movedCaseSchema,
  terms: z.array(
    z.object({
      name: z.string(),
      list: z.enum(['target', 'sampling']),
      from: z.number().nullable(),
      to: z.number().nullable(),
    }),
  ),
  because: z.string(),
});
export type DiffMove = z.infer<typeof moveSchema>;

export const diffSchema = z
  .object({
    from: sideSchema,
    to: sideSchema,
    totalVariation: z.number(),
    effectiveFraction: bothSchema,
    objectiveChanged: z.boolean().meta({
      description:
        'A target or effective target of a case differs by more than 4 units of 2^-52, which rounding alone does not do',
    }),
    objective: z.object({ targetVariation: z.number(), effectiveTargetVariation: z.number() }),
    groups: z.array(
      z.object({
        attribute: z.string(),
        value: z.string(),
        from: sharesSchema,
        to: sharesSchema,
      }),
    ),
    largestMoves: z.array(moveSchema),
    added: z.array(z.string()).max(namedCases),
    addedCount: z.int(),
    removed: z.array(z.string()).max(namedCases),
    removedCount: z.int(),
    rulesDiff: z.string(),
  })
  .meta({
    id: 'SnapshotDiff',
    description:
      'Over the union of the cases, where a missing case has probability 0; null for a side that has no such group or case. A unified diff of the rule documents, empty where they are the same.',
  });
export type SnapshotDiff = z.infer<typeof diffSchema>;
