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

export const trainerKindSchema = z.enum(['counterweight', 'nnunet']);

const fileName = z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/);

/** What a job says to nnU-Net itself; the fold is the snapshot's. */
export const nnunetSchema = z.strictObject({
  configuration: fileName.default('3d_fullres'),
  /** Name of the plans, without `.json`. */
  plans: fileName.default('nnUNetPlans'),
  /** Background workers that make batches; 0 makes them between steps. */
  workers: z.int().min(0).max(64).optional(),
  device: z.enum(['auto', 'cuda', 'cpu', 'mps']).default('auto'),
  /** Batches of an epoch's patch validation. */
  validationBatches: count.optional(),
});

/** What nnU-Net takes from its plans or its trainer class, and so not from a job. */
const notForNnunet = [
  'network',
  'patch',
  'backend',
  'optimizer',
  'averaging',
  'spacing',
  'normalization',
  'memoryMiB',
  'augmentation',
  'mirrorAxes',
  'mirrorInference',
  'prefetch',
] as const;

const everySetting = z.strictObject({
  trainer: trainerKindSchema.default('counterweight'),
  epochs: count.max(100_000).optional(),
  drawsPerEpoch: count.max(maxDrawsPerEpoch).optional(),
  batchSize: count.max(1024).optional(),
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
  nnunet: nnunetSchema.optional(),
});

/** Names of all settings. */
export const settingNames = Object.keys(everySetting.shape);

/** Where a job says nothing. nnU-Net's batch size stands in its plans, so a job has to say it. */
const usual = { epochs: 50, drawsPerEpoch: 100, batchSize: 2 };
const usualForNnunet = { epochs: 1000, nnunet: nnunetSchema.parse({}) };

/** Settings of a job's trainer; sizes are [depth, height, width] in voxels. */
export const settingsSchema = everySetting
  .superRefine((settings, context) => {
    const fault = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message, input: settings });
    if (settings.trainer === 'nnunet') refuseForNnunet(settings, fault);
    else if (settings.nnunet) fault('nnunet', 'is for the trainer "nnunet"');
    const drawsPerEpoch = settings.drawsPerEpoch ?? usual.drawsPerEpoch;
    const batchSize = settings.batchSize ?? usual.batchSize;
    const unsaid = [settings.drawsPerEpoch, settings.batchSize].includes(undefined);
    if (settings.trainer === 'nnunet' && unsaid) return;
    if (drawsPerEpoch % batchSize !== 0) {
      fault('drawsPerEpoch', 'drawsPerEpoch must be a multiple of batchSize');
    }
  })
  .transform(({ trainer, ...said }) => ({
    trainer,
    ...usual,
    ...(trainer === 'nnunet' ? usualForNnunet : {}),
    ...said,
  }));

function refuseForNnunet(
  settings: z.output<typeof everySetting>,
  fault: (key: string, message: string) => void,
): void {
  for (const key of ['batchSize', 'drawsPerEpoch'] as const) {
    if (settings[key] !== undefined) continue;
    fault(
      key,
      'say it for the trainer "nnunet": batchSize as in the plans (batch_size of the ' +
        'configuration), drawsPerEpoch 250 times that for epochs as nnU-Net counts them',
    );
  }
  for (const key of notForNnunet) {
    if (settings[key] === undefined) continue;
    fault(key, 'nnU-Net takes this from its plans or its trainer class; leave it out');
  }
}

/** Settings as the trainer receives them, with defaults filled in. */
export type Settings = z.output<typeof settingsSchema>;
export type TrainerKind = Settings['trainer'];
/** Settings as a person may write them. */
export type SettingsInput = z.input<typeof settingsSchema>;

const gpus = z.strictObject({ count: z.int().min(0).max(64), type: z.string().min(1).optional() });
const seconds = count.max(90 * 86_400);
/** Further attempts that the service starts by itself, after failures of infrastructure only. */
const retries = z.int().min(0).max(10);

/** Resources of a request or of a launch target's defaults: any part may be missing. */
export const partialResourcesSchema = z.strictObject({
  gpus: gpus.optional(),
  cpus: z.number().positive().max(1024).optional(),
  memoryMiB: count.max(2 ** 24).optional(),
  timeoutSeconds: seconds.optional(),
  queueTimeoutSeconds: seconds.optional(),
  retries: retries.optional(),
});

/** Resources of a job, complete. */
export const resourcesSchema = z.strictObject({
  gpus: gpus.default({ count: 0 }),
  cpus: z.number().positive().max(1024).default(2),
  memoryMiB: count.max(2 ** 24).default(4096),
  timeoutSeconds: seconds.default(86_400),
  queueTimeoutSeconds: seconds.default(86_400),
  retries: retries.default(2),
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
