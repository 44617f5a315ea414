// Scores from models: nnU-Net's summary.json of a fold's validation, as far as it is read.

import { z } from 'zod';
import { nameSchema, reasonSchema } from './shared.ts';

/** Limits of one summary, unzipped: a fold of a million cases has about 200 MB of them. */
export const summaryLimits = { bytes: 256 * 1024 * 1024, faults: 100 };

const fileName = z.string().min(1).max(4_000);

// Ranges are checked where the case is known, so that a refusal can name it.
const dice = z.custom<number | null>(
  (value) => value === null || typeof value === 'number',
  'Dice must be a number or NaN',
);

export const summarySchema = z
  .object({
    metric_per_case: z
      .array(
        z
          .object({
            metrics: z.record(z.string(), z.object({ Dice: dice })),
            prediction_file: fileName.optional(),
            reference_file: fileName.optional(),
          })
          .refine(
            (one) => (one.prediction_file ?? one.reference_file) !== undefined,
            'neither prediction_file nor reference_file says which case this is',
          ),
      )
      .min(1, 'the summary has no cases'),
  })
  .meta({ id: 'Summary', description: "nnU-Net's summary.json of one fold's validation" });
export type Summary = z.output<typeof summarySchema>;

export const scoresQuerySchema = z.object({
  split: nameSchema,
  fold: z
    .string()
    .regex(/^\d{1,4}$/, 'the fold is a number: fold "all" has no validation side to score')
    .transform(Number),
  reason: reasonSchema,
  /** Name of the model that made the scores; the name of the attribute where it is left out. */
  model: z.string().min(1).max(200).optional(),
});

export const scoresAnswerSchema = z
  .object({
    attribute: z.string(),
    split: z.string(),
    fold: z.int(),
    /** Cases that now have a score from this file. */
    scored: z.int(),
    /** Cases whose value is another than before. */
    changed: z.int(),
    /** Cases of the validation side without a Dice, the first hundred by id. */
    missing: z.array(z.string()),
    missingCount: z.int(),
  })
  .meta({ id: 'Scores' });
export type ScoresAnswer = z.infer<typeof scoresAnswerSchema>;
