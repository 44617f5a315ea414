// The protocol of agents: they claim the attempts of a target behind a firewall, launch them there
// and tell how they are.

import { z } from 'zod';
import { resourcesSchema, trainerKindSchema } from './settings.ts';
import { nameSchema } from './shared.ts';
import { findingSchema } from './targets.ts';

const detail = z.string().min(1).max(2000);

/** Of a trainer's output the end is told and kept. */
export const outputCharacters = 16_384;

/** What an agent's engine says of an attempt: the `Observation` of a launcher. */
export const observationSchema = z.strictObject({
  state: z.enum([
    'queued',
    'starting',
    'running',
    'exited',
    'failed',
    'timedOut',
    'cancelled',
    'notFound',
    'unknown',
  ]),
  detail: detail.optional(),
  reason: z.enum(['outOfMemory', 'infrastructure', 'external', 'config']).optional(),
  exit: z
    .strictObject({ code: z.int().nullable(), signal: z.string().max(40).nullable() })
    .optional(),
  /** The last lines of an ended trainer's output. */
  output: z.string().max(outputCharacters).optional(),
});

const handleCharacters = 4_000;

/** What a launcher calls its launch by; kept here, so that an agent needs no memory. */
const handleSchema = z
  .looseObject({ launchKey: z.string() })
  .refine((handle) => JSON.stringify(handle).length <= handleCharacters, {
    error: `has more than ${handleCharacters} characters as JSON`,
  });

export const claimSchema = z
  .strictObject({
    agent: nameSchema,
    version: z.string().min(1).max(100),
    /** What the agent's own launcher finds of its engine; left out, the last ones stand. */
    findings: z.array(findingSchema.extend({ detail })).max(100).optional(),
    /** How many attempts that have not ended the agent holds at most; 0 takes no further one. */
    most: z.int().min(0).max(10_000).optional(),
  })
  .meta({ id: 'Claim' });
export type Claim = z.output<typeof claimSchema>;

const stopSchema = z.object({ graceSeconds: z.int() }).nullable();

export const agentWorkSchema = z
  .object({
    /** The launch key: its name on every engine, and in the path of its reports. */
    id: z.string(),
    launchKey: z.string(),
    job: z.string(),
    attempt: z.int(),
    image: z.string().nullable(),
    trainer: trainerKindSchema,
    /** How trainers reach the service, where the agent's own target does not say. */
    api: z.string(),
    dataset: z.string(),
    resources: resourcesSchema,
    /** What the agent said that it launched; null: nothing is known to be launched. */
    handle: z.looseObject({ launchKey: z.string() }).nullable(),
    /** What is left of the grace of an attempt that is to stop. */
    stop: stopSchema,
    /** Over here: what is left of it on the engine is to be stopped and removed. */
    ended: z.boolean(),
  })
  .meta({ id: 'AgentWork' });
export type AgentWork = z.output<typeof agentWorkSchema>;

export const claimAnswerSchema = z
  .object({
    /** Silent for longer, an agent is no longer believed to know how its attempts are. */
    leaseSeconds: z.int(),
    attempts: z.array(agentWorkSchema),
  })
  .meta({ id: 'ClaimAnswer' });
export type ClaimAnswer = z.output<typeof claimAnswerSchema>;

export const agentReportSchema = z
  .strictObject({
    agent: nameSchema,
    /** `notFound` of an attempt without a handle: `find` knows no such launch, so launch it. */
    observation: observationSchema.optional(),
    /** What `submit` or `find` gave. */
    handle: handleSchema.optional(),
    /** Why the agent's engine will never take the attempt. */
    refused: detail.optional(),
    /** The engine has been told to stop it: its grace counts from now. */
    stopTold: z.literal(true).optional(),
    /** Nothing of an ended attempt is left on the engine. */
    cleaned: z.literal(true).optional(),
  })
  .meta({ id: 'AgentReport' });
export type AgentReport = z.output<typeof agentReportSchema>;

export const agentAnswerSchema = z
  .object({
    /** The attempt's token, made just now: launch with it. An older one holds no longer. */
    launch: z.object({ token: z.string() }).nullable(),
    stop: stopSchema,
    ended: z.boolean(),
    /** Something of it may be left on the engine. */
    cleanUp: z.boolean(),
  })
  .meta({ id: 'AgentAnswer' });
export type AgentAnswer = z.output<typeof agentAnswerSchema>;
