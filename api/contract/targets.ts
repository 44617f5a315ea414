// Launch targets: where jobs may run. They are configured by the deployment (CW_TARGETS); their
// credentials are named, never stored.

import { z } from 'zod';
import { partialResourcesSchema } from './settings.ts';
import { nameSchema } from './shared.ts';

export const engines = ['local', 'docker', 'slurm', 'kubernetes', 'aws-batch', 'agent'] as const;
export type Engine = (typeof engines)[number];

const ownVariable = /^(?!CW_)[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * What every target says. Each launcher reads its engine's own fields beside these, and refuses
 * those that it does not know.
 */
export const launchTargetSchema = z.looseObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a target name is lower-case letters, digits and hyphens'),
  engine: z.enum(engines),
  /** Names of the workspaces that it is there for; absent: all of them. */
  workspaces: z.array(nameSchema).optional(),
  address: z.string().optional(),
  /** Where the secret stands: never the secret. A file is read anew for each use. */
  credentials: z
    .union([z.strictObject({ env: z.string() }), z.strictObject({ file: z.string() })])
    .optional(),
  /** Images that jobs may ask for; by digest where the engine is not on the service's machine. */
  images: z.array(z.string()).default([]),
  /** Dataset name to the folder of its images, on the machines of the engine. */
  dataPaths: z.record(z.string(), z.string()).default({}),
  /** Folder that gets a folder per job for its checkpoints, on the machines of the engine. */
  outputPath: z.string().optional(),
  gpuTypes: z.array(z.string()).default([]),
  limits: z
    .strictObject({
      jobsAtOnce: z.int().min(1).optional(),
      gpuHoursPerDay: z.number().positive().optional(),
    })
    .default({}),
  defaults: partialResourcesSchema.default({}),
  /** What the trainer's process has beside what the job gives it. */
  environment: z
    .record(z.string().regex(ownVariable, 'no name of a variable, or one of CW_'), z.string())
    .default({}),
  /** Address by which trainers on this engine reach the service, where CW_PUBLIC_URL is not it. */
  api: z.url({ protocol: /^https?$/ }).optional(),
  /** Seconds between two questions to the engine; each launcher has its own default. */
  pollSeconds: z.number().min(1).max(240).optional(),
});
export type LaunchTarget = z.output<typeof launchTargetSchema>;

/** Fields that every target may have; what else it says is its engine's own. */
export const commonTargetFields: readonly string[] = Object.keys(launchTargetSchema.shape);

/** Engines that run images on machines other than the service's: a tag there may be moved. */
const pinned: readonly Engine[] = ['slurm', 'kubernetes', 'aws-batch'];
const byDigest = /@sha256:[0-9a-f]{64}$/;

export const launchTargetsSchema = z
  .array(
    launchTargetSchema.superRefine(({ engine, images }, context) => {
      for (const [place, image] of images.entries()) {
        if (!pinned.includes(engine) || byDigest.test(image)) continue;
        const message = `"${image}" may come to mean another image: name it by digest, NAME@sha256:...`;
        context.addIssue({ code: 'custom', path: ['images', place], message, input: image });
      }
    }),
  )
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
    /** Where it has a limit: the last 24 hours of all workspaces together. */
    gpuHours: z
      .object({
        used: z.number(),
        /** With all that launched attempts may still use: under the limit, more are launched. */
        counted: z.number(),
        limit: z.number(),
      })
      .optional(),
  })
  .meta({ id: 'LaunchTarget' });

export const findingSchema = z.object({
  severity: z.enum(['ok', 'warning', 'error']),
  detail: z.string(),
});
export type Finding = z.output<typeof findingSchema>;

export const targetCheckSchema = z.object({ findings: z.array(findingSchema) });
