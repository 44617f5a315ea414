// Launch targets: where jobs may run. They are configured by the deployment (CW_TARGETS); their
// credentials are named, never stored.

import { z } from 'zod';
import { partialResourcesSchema } from './settings.ts';

export const engines = ['local', 'docker', 'slurm', 'kubernetes', 'aws-batch', 'agent'] as const;
export type Engine = (typeof engines)[number];

export const launchTargetSchema = z.looseObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a target name is lower-case letters, digits and hyphens'),
  engine: z.enum(engines),
  address: z.string().optional(),
  credentials: z
    .union([z.strictObject({ env: z.string() }), z.strictObject({ file: z.string() })])
    .optional(),
  images: z.array(z.string()).default([]),
  /** Dataset name to the folder of its images, as the trainer sees it. */
  dataPaths: z.record(z.string(), z.string()).default({}),
  outputPath: z.string().optional(),
  gpuTypes: z.array(z.string()).default([]),
  limits: z
    .strictObject({
      jobsAtOnce: z.int().min(1).optional(),
      gpuHoursPerDay: z.number().positive().optional(),
    })
    .default({}),
  defaults: partialResourcesSchema.default({}),
});
export type LaunchTarget = z.output<typeof launchTargetSchema>;

const command = z.array(z.string().min(1)).min(1);
const ownVariable = /^(?!CW_)[A-Za-z_][A-Za-z0-9_]*$/;

/** What a target of engine `local` may say besides. */
export const localFieldsSchema = z.object({
  /** For every trainer that `commands` does not name. */
  command: command.optional(),
  commands: z.strictObject({ counterweight: command, nnunet: command }).partial().optional(),
  /** What the trainer's process has beside the environment of the service. */
  environment: z
    .record(z.string().regex(ownVariable, 'no name of a variable, or one of CW_'), z.string())
    .optional(),
});

export const launchTargetsSchema = z
  .array(launchTargetSchema)
  .refine(
    (targets) => new Set(targets.map(({ name }) => name)).size === targets.length,
    'two targets have the same name',
  );

/** What the API shows of a target: no address, no credentials. */
export const targetSchema = z
  .object({
    name: z.string(),
    engine: z.enum(engines),
    images: z.array(z.string()),
    datasets: z.array(z.string()),
    gpuTypes: z.array(z.string()),
    limits: z.object({ jobsAtOnce: z.int().optional(), gpuHoursPerDay: z.number().optional() }),
  })
  .meta({ id: 'LaunchTarget' });

export const findingSchema = z.object({
  severity: z.enum(['ok', 'warning', 'error']),
  detail: z.string(),
});
export type Finding = z.output<typeof findingSchema>;
