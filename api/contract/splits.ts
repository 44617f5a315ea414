// Splits: nnU-Net's splits_final.json as it is, a list of folds with training and validation ids.

import { z } from 'zod';

export const splitFoldsSchema = z
  .array(z.object({ train: z.array(z.string()), val: z.array(z.string()) }))
  .min(1, 'a split has at least one fold')
  .max(1000)
  .meta({ id: 'SplitFolds' });
export type SplitFolds = z.infer<typeof splitFoldsSchema>;

export const splitAnswerSchema = z
  .object({
    name: z.string(),
    folds: z.array(z.object({ fold: z.int(), train: z.int(), val: z.int() })),
  })
  .meta({ id: 'Split' });
export type SplitAnswer = z.infer<typeof splitAnswerSchema>;
