// What AWS takes: each operation's body as its service model and its documents have it. A field
// that is not there, a value out of its range, is refused as AWS refuses it.

import { z } from 'zod';

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/);
const text = z.string().min(1);
const token = text.optional();

const number = (least: number) =>
  z.string().refine((value) => /^\d+$/.test(value) && Number(value) >= least);

const requirement = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('GPU'), value: number(1) }),
  z.strictObject({ type: z.literal('MEMORY'), value: number(4) }),
  z.strictObject({ type: z.literal('VCPU'), value: z.union([number(1), z.enum(['0.25', '0.5'])]) }),
]);

const variable = z.strictObject({
  name: z.string().regex(/^(?!AWS_BATCH)[A-Za-z_][A-Za-z0-9_]*$/),
  value: z.string(),
});

const submitJob = z.strictObject({
  jobName: name,
  jobQueue: text,
  jobDefinition: text,
  arrayProperties: z.strictObject({ size: z.int().min(2).max(10_000) }).optional(),
  containerOverrides: z
    .strictObject({
      command: z.array(z.string()).optional(),
      environment: z.array(variable).optional(),
      instanceType: text.optional(),
      resourceRequirements: z.array(requirement).optional(),
    })
    .optional(),
  retryStrategy: z.strictObject({ attempts: z.int().min(1).max(10) }).optional(),
  timeout: z.strictObject({ attemptDurationSeconds: z.int().min(60) }).optional(),
  tags: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .refine((tags) => Object.keys(tags).length <= 50)
    .optional(),
  propagateTags: z.boolean().optional(),
});

const filterNames = ['JOB_NAME', 'JOB_DEFINITION', 'BEFORE_CREATED_AT', 'AFTER_CREATED_AT'];

/** Operation to the body that it takes. */
export const bodies: Record<string, z.ZodType<any>> = {
  SubmitJob: submitJob,
  ListJobs: z.strictObject({
    jobQueue: text,
    filters: z
      .array(z.strictObject({ name: z.enum(filterNames), values: z.array(text).length(1) }))
      .max(1)
      .optional(),
    maxResults: z.int().min(1).max(100).optional(),
    nextToken: token,
  }),
  DescribeJobs: z.strictObject({ jobs: z.array(text).min(1).max(100) }),
  TerminateJob: z.strictObject({ jobId: text, reason: text.max(1024) }),
  DescribeJobQueues: z.strictObject({ jobQueues: z.array(text).optional(), nextToken: token }),
  DescribeComputeEnvironments: z.strictObject({
    computeEnvironments: z.array(text).optional(),
    nextToken: token,
  }),
  DescribeJobDefinitions: z.strictObject({
    jobDefinitions: z.array(z.string().regex(/:\d+$/)).max(100).optional(),
    nextToken: token,
  }),
  GetLogEvents: z.strictObject({
    logGroupName: z
      .string()
      .regex(/^[.\-_/#A-Za-z0-9]+$/)
      .max(512),
    logStreamName: z
      .string()
      .regex(/^[^:*]*$/)
      .min(1)
      .max(512),
    limit: z.int().min(1).max(10_000).optional(),
    startFromHead: z.boolean().optional(),
  }),
};
