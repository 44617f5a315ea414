// Splits: nnU-Net's splits_final.json as it is, a list of folds with training and validation ids.

import { z } from 'zod';

export const splitLimits = { bodyBytes: 512 * 1024 * 1024, folds: 1000 };

/** The body, for the reference; it is read as a stream and checked as it comes. */
export const splitFoldsJsonSchema = {
  type: 'array' as const,
  minItems: 1,
  maxItems: splitLimits.folds,
  items: {
    type: 'object' as const,
    required: ['train', 'val'],
    properties: {
      train: { type: 'array' as const, items: { type: 'string' as const }, minItems: 1 },
      val: { type: 'array' as const, items: { type: 'string' as const }, minItems: 1 },
    },
  },
};

/** One id of a split and where it stands: side `train` or `val` of a fold from 0. */
export type SplitId = { fold: number; side: 'train' | 'val'; place: number; id: string };

/** The ids of a split, some at a time; returns the number of folds. */
export type SplitStream = AsyncGenerator<SplitId[], number>;

export const splitAnswerSchema = z
  .object({
    name: z.string(),
    folds: z.array(z.object({ fold: z.int(), train: z.int(), val: z.int() })),
  })
  .meta({ id: 'Split' });
export type SplitAnswer = z.infer<typeof splitAnswerSchema>;
