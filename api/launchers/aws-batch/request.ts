// What a target on AWS Batch says, and the job that is asked for: pure. Batch takes image and
// mounts from a job definition; a request overrides only environment, vCPUs, memory and GPUs.

import { z } from 'zod';
import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { requireGpus } from '../gpus.ts';
import type { LaunchRequest, LaunchSpec } from '../launcher.ts';
import { isLoopback } from '../loopback.ts';
import { targetProblem } from '../target-fields.ts';

const name = '[A-Za-z0-9][A-Za-z0-9_-]{0,127}';
const arn = (kind: string) => `(?:arn:[a-z-]+:batch:[a-z0-9-]+:\\d{12}:${kind}/)?`;

export const fieldsSchema = z.strictObject({
  region: z.string().regex(/^[a-z]{2,}(-[a-z]+)+-\d$/, 'is no region, for example eu-central-1'),
  queue: z
    .string()
    .regex(new RegExp(`^${arn('job-queue')}${name}$`), 'is no name or ARN of a queue'),
  /** Batch takes the image from a definition: each image of the target, and its definition. */
  jobDefinitions: z.record(
    z.string(),
    z
      .string()
      .regex(
        new RegExp(`^${arn('job-definition')}${name}:\\d+$`),
        'is no NAME:REVISION or ARN; without its revision a definition may come to mean another image',
      ),
  ),
  logGroup: z.string().min(1).default('/aws/batch/job'),
  logsAddress: z.string().optional(),
});
export type Fields = z.output<typeof fieldsSchema>;

/** Name of the tag that says which launch a job is. */
export const launchTag = 'counterweight-launch';
/** Batch has no shorter limit; a shorter timeoutSeconds is kept by the service alone. */
const leastTimeoutSeconds = 60;

/** Refuses a target whose images and job definitions are not of each other. */
export function requireDefinitions(target: LaunchTarget, { jobDefinitions }: Fields): void {
  const without = target.images.find((image) => jobDefinitions[image] === undefined);
  if (without !== undefined) {
    const what = `has no definition for ${without}; Batch takes the image from a job definition`;
    throw targetProblem(target, 'jobDefinitions', what);
  }
  const stray = Object.keys(jobDefinitions).find((image) => !target.images.includes(image));
  if (stray !== undefined) {
    throw targetProblem(target, 'jobDefinitions', `names ${stray}, which is not in images`);
  }
  const reserved = Object.keys(target.environment).find((one) => one.startsWith('AWS_BATCH'));
  if (reserved !== undefined) {
    throw targetProblem(
      target,
      `environment.${reserved}`,
      'has a name that Batch keeps for itself',
    );
  }
}

/** The request without the token; `isLocal`: the engine is on the loopback address. */
export function prepareJob(
  fields: Fields,
  spec: LaunchSpec,
  { isLocal }: { isLocal: boolean },
): LaunchRequest {
  requireGpus(spec);
  requireOneType(spec);
  requireReachable(spec, isLocal);
  const { target, resources, launchKey, jobId } = spec;
  const { gpus, memoryMiB, timeoutSeconds } = resources;
  const environment = {
    ...target.environment,
    CW_API: spec.api,
    CW_JOB: jobId,
    CW_DATA: spec.dataPath,
    CW_OUT: `${target.outputPath?.replace(/\/+$/, '')}/${jobId}`,
  };
  return {
    launchKey,
    job: {
      jobName: launchKey,
      jobQueue: fields.queue,
      jobDefinition: definitionOf(fields, spec),
      containerOverrides: {
        environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        resourceRequirements: [
          { type: 'VCPU', value: String(vcpusOf(spec)) },
          { type: 'MEMORY', value: String(memoryMiB) },
          ...(gpus.count === 0 ? [] : [{ type: 'GPU', value: String(gpus.count) }]),
        ],
      },
      // The service makes a new attempt, with a key and a token of its own.
      retryStrategy: { attempts: 1 },
      timeout: { attemptDurationSeconds: Math.max(timeoutSeconds, leastTimeoutSeconds) },
      tags: { [launchTag]: launchKey },
    },
  };
}

function definitionOf({ jobDefinitions }: Fields, { target, image }: LaunchSpec): string {
  const found = image === null ? undefined : jobDefinitions[image];
  if (found !== undefined) return found;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" has no job definition for ${image ?? 'a job without an image'}.`,
    { errors: [{ pointer: '/image', detail: 'no job definition runs it' }] },
  );
}

const parts = [0.25, 0.5];

function vcpusOf({ target, resources: { cpus, gpus } }: LaunchSpec): number {
  if (Number.isInteger(cpus) || (gpus.count === 0 && parts.includes(cpus))) return cpus;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}": AWS Batch gives whole vCPUs, on Fargate also 0.25 and 0.5, not ${cpus}.`,
    { errors: [{ pointer: '/resources/cpus', detail: 'not a number of vCPUs that Batch gives' }] },
  );
}

function requireOneType({ target, resources }: LaunchSpec): void {
  if (resources.gpus.type === undefined || target.gpuTypes.length === 1) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" has GPUs of several types, and a job of AWS Batch cannot choose one: leave gpus.type out, or make a target for each type with a queue of its own.`,
    { errors: [{ pointer: '/resources/gpus/type', detail: 'cannot be chosen on this target' }] },
  );
}

// Only where Batch itself is on the loopback address, its stand-in in tests, are jobs there too.
function requireReachable({ target, api }: LaunchSpec, isLocal: boolean): void {
  if (isLocal || !isLoopback(api)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}": a job on AWS cannot reach the service at ${api}. Give the target "api" or the service CW_PUBLIC_URL, an address that the compute environment reaches.`,
    { errors: [{ pointer: '/target', detail: 'its jobs cannot reach the service' }] },
  );
}
