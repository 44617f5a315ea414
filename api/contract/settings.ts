// What a job's settings, resources and monitors may say. Unknown keys are refused: a misspelt
// setting that is silently ignored would train another model than the one that was asked for.

import { z } from 'zod';

const count = z.int().min(1);

/**
 * Most draws that one epoch may have: beyond it the plan is no longer exact (METHOD.md section 6).
 */
export const maxDrawsPerEpoch = 2 ** 26;

const maxPatchVoxels = 2 ** 24;
const millimetres = z.number().positive().max(1000);
const size = z.tuple([count, count, count]);

/**
 * The network of a job: channels per level, the finest first. `kernels` and `strides` are per level
 * [depth, height, width]; a level's stride leads down to it, so the first is [1, 1, 1].
 */
export const networkSchema = z
  .strictObject({
    features: z.array(count.max(2048)).min(1).max(8),
    kernels: z.array(size).optional(),
    strides: z.array(size).optional(),
    deepSupervision: z.boolean().optional(),
  })
  .refine(({ features, kernels }) => kernels === undefined || kernels.length === features.length, {
    path: ['kernels'],
    message: 'kernels need one entry per level of features',
  })
  .refine(({ features, strides }) => strides === undefined || strides.length === features.length, {
    path: ['strides'],
    message: 'strides need one entry per level of features',
  });

/** Settings of a job's trainer; sizes are [depth, height, width] in voxels. */
export const settingsSchema = z
  .strictObject({
    trainer: z.enum(['counterweight', 'nnunet']).default('counterweight'),
    epochs: count.max(100_000).default(50),
    drawsPerEpoch: count.max(maxDrawsPerEpoch).default(100),
    batchSize: count.max(1024).default(2),
    learningRate: z.number().positive().max(10).optional(),
    network: networkSchema.optional(),
    patch: size
      .refine((sides) => sides[0] * sides[1] * sides[2] <= maxPatchVoxels, {
        message: `a patch has at most ${maxPatchVoxels} voxels`,
      })
      .optional(),
    validateEvery: count.optional(),
    allowBatchDice: z.boolean().default(false),
    checkpointEvery: count.optional(),
    backend: z.enum(['auto', 'native', 'wasm', 'cpu']).optional(),
    optimizer: z.enum(['adam', 'sgd']).optional(),
    averaging: z.number().min(0).lt(1).optional(),
    spacing: z.tuple([millimetres, millimetres, millimetres]).optional(),
    normalization: z
      .array(z.enum(['zScore', 'ct', 'none']))
      .min(1)
      .optional(),
    memoryMiB: count.max(2 ** 24).optional(),
    augmentation: z.enum(['none', 'mild', 'full']).optional(),
    mirrorAxes: z
      .array(z.enum(['x', 'y', 'z']))
      .max(3)
      .optional(),
    foregroundShare: z.number().min(0).max(1).optional(),
    mirrorInference: z.boolean().optional(),
    prefetch: z.int().min(0).max(64).optional(),
  })
  .refine((settings) => settings.drawsPerEpoch % settings.batchSize === 0, {
    path: ['drawsPerEpoch'],
    message: 'drawsPerEpoch must be a multiple of batchSize',
  });

/** Settings as the trainer receives them, with defaults filled in. */
export type Settings = z.output<typeof settingsSchema>;
/** Settings as a person may write them. */
export type SettingsInput = z.input<typeof settingsSchema>;

const gpus = z.strictObject({ count: z.int().min(0).max(64), type: z.string().min(1).optional() });
const seconds = count.max(90 * 86_400);

/** Resources of a request or of a launch target's defaults: any part may be missing. */
export const partialResourcesSchema = z.strictObject({
  gpus: gpus.optional(),
  cpus: z.number().positive().max(1024).optional(),
  memoryMiB: count.max(2 ** 24).optional(),
  timeoutSeconds: seconds.optional(),
  queueTimeoutSeconds: seconds.optional(),
});

/** Resources of a job, complete. */
export const resourcesSchema = z.strictObject({
  gpus: gpus.default({ count: 0 }),
  cpus: z.number().positive().max(1024).default(2),
  memoryMiB: count.max(2 ** 24).default(4096),
  timeoutSeconds: seconds.default(86_400),
  queueTimeoutSeconds: seconds.default(86_400),
});

export type PartialResources = z.output<typeof partialResourcesSchema>;
export type Resources = z.output<typeof resourcesSchema>;

/** One monitor: what to do when it fires, after how many rounds in a row, at which value. */
export const monitorSchema = z.strictObject({
  action: z.enum(['note', 'stop', 'revert']),
  patience: count.optional(),
  threshold: z.number().positive().optional(),
});

/** The monitors of METHOD.md section 9, by name. */
export const monitorsSchema = z.strictObject({
  sampledCaseOverfit: monitorSchema.optional(),
  groupRegression: monitorSchema.optional(),
  calibrationDrift: monitorSchema.optional(),
  instability: monitorSchema.optional(),
  drawMismatch: monitorSchema.optional(),
});

export type Monitor = z.output<typeof monitorSchema>;
export type Monitors = z.output<typeof monitorsSchema>;
export type MonitorName = keyof Monitors;

/**
 * What holds where a job says nothing: threshold is the loss gap, the Dice drop, the largest ratio
 * (its inverse is the smallest), or the multiple of the running median, in this order.
 */
export const monitorDefaults: Record<MonitorName, Required<Monitor>> = {
  sampledCaseOverfit: { action: 'note', patience: 3, threshold: 0.2 },
  groupRegression: { action: 'note', patience: 3, threshold: 0.05 },
  calibrationDrift: { action: 'note', patience: 1, threshold: 1.25 },
  instability: { action: 'note', patience: 1, threshold: 5 },
  drawMismatch: { action: 'note', patience: 1, threshold: 1 },
};
