// What a trainer plans from its training cases before the first step: the grid, the patch, the
// network, and how each channel is brought to a common scale.

import { z } from 'zod';

const whole = z.int().min(1);
const voxels = z.tuple([whole, whole, whole]);
const millimetres = z.number().positive();

/**
 * How a channel is normalized: `zScore` by mean and deviation of the case, `ct` clipped to
 * [`low`, `high`] and by the `mean` and `deviation` of the training cases' foreground, or not.
 */
export const normalizationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('zScore') }),
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    kind: z.literal('ct'),
    low: z.number(),
    high: z.number(),
    mean: z.number(),
    deviation: z.number().positive(),
  }),
]);

/** All sizes are [depth, height, width], in voxels or mm; `kernels` and `strides` are per level. */
export const trainingPlanSchema = z.strictObject({
  /** Spacing that every case is resampled to, in mm. */
  spacing: z.tuple([millimetres, millimetres, millimetres]),
  /** Median shape of the training cases at that spacing. */
  medianShape: voxels,
  cases: z.strictObject({ training: whole, resampled: z.int().min(0) }),
  patch: voxels,
  features: z.array(whole).min(1),
  kernels: z.array(voxels).min(1),
  strides: z.array(voxels).min(1),
  /** In the order of the channels. */
  normalization: z.array(normalizationSchema).min(1),
  /** What a step is estimated to need, and what it may. */
  memoryMiB: z.strictObject({ estimate: z.number().nonnegative(), budget: whole }),
  /** Settings of the job that took the place of a part of the plan. */
  overridden: z.array(z.string().max(100)).max(20),
});

export type Normalization = z.output<typeof normalizationSchema>;
export type TrainingPlan = z.output<typeof trainingPlanSchema>;
