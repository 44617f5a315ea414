// Webhooks: addresses that are told of what happens in a workspace. An event has the name of the
// audit entry that it tells of; the signing secret is in the answer that made the webhook alone.

import { z } from 'zod';
import { listQuerySchema, reasonSchema } from './shared.ts';

/** Every action of the audit chain. These names are for good: receivers look for them. */
export const eventTypes = [
  'alias.moved',
  'approval.revoked',
  'case.withdrawn',
  'cases.uploaded',
  'dataset.attribute-added',
  'dataset.created',
  'github.policy.created',
  'github.policy.removed',
  'github.session.created',
  'job.cancelled',
  'job.draw-mismatch',
  'job.ended',
  'job.launched',
  'job.monitor-fired',
  'job.retried',
  'job.snapshot-switched',
  'rule-set.added',
  'rule-set.copied',
  'scores.imported',
  'snapshot.approved',
  'snapshot.child-frozen',
  'snapshot.explanationRefused',
  'snapshot.frozen',
  'split.put',
  'token.created',
  'token.revoked',
  'version.committed',
  'version.discarded',
  'version.opened',
  'webhook.created',
  'webhook.disabled',
  'webhook.enabled',
  'webhook.redelivered',
  'webhook.removed',
  'workspace.created',
] as const;

/** What a test sends: no audit entry, and no subscription asks for it. */
export const pingType = 'ping';

const families = [...new Set(eventTypes.map((type) => `${type.split('.')[0]}.*`))];

/** What a webhook may ask for: everything, a family of events, one of them. */
export const eventPatterns: string[] = ['*', ...families, ...eventTypes];

const eventPatternSchema = z.string().refine((text) => eventPatterns.includes(text), {
  error: 'no event of this name; an event as "job.ended", a family as "job.*", or "*"',
});

const longestUrl = 2000;

export const createWebhookSchema = z
  .strictObject({
    url: z.string().min(1).max(longestUrl).describe('https; where it is sent to, with POST'),
    events: z
      .array(eventPatternSchema)
      .min(1)
      .max(eventPatterns.length)
      .describe(`of: ${eventPatterns.join(', ')}`),
    reason: reasonSchema,
  })
  .meta({ id: 'CreateWebhook' });
export type CreateWebhook = z.output<typeof createWebhookSchema>;

export const enableWebhookSchema = z
  .strictObject({ reason: reasonSchema })
  .meta({ id: 'EnableWebhook' });

export const webhookSchema = z
  .object({
    id: z.string(),
    url: z.string(),
    events: z.array(z.string()),
    state: z.enum(['active', 'disabled']),
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
    disabledAt: z.string().nullable(),
    disabledBecause: z.string().nullable(),
    health: z.object({
      lastDeliveredAt: z.string().nullable(),
      lastFailedAt: z.string().nullable(),
      lastFailure: z.string().nullable().describe('in words'),
      failingSince: z.string().nullable().describe('the first failure since the last delivery'),
      pending: z.int(),
      dead: z.int(),
    }),
  })
  .meta({ id: 'Webhook' });
export type Webhook = z.output<typeof webhookSchema>;

export const madeWebhookSchema = webhookSchema
  .extend({ secret: z.string().describe('whsec_ and base64; signs what is sent') })
  .meta({ id: 'MadeWebhook' });
export type MadeWebhook = z.output<typeof madeWebhookSchema>;

export const deliveryStates = ['pending', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

export const deliveryQuerySchema = listQuerySchema.extend({
  state: z.enum(deliveryStates).optional(),
});

export const webhookDeliverySchema = z
  .object({
    id: z.string().describe('of the event: the header webhook-id'),
    type: z.string(),
    sequence: z.int().nullable().describe('of the audit entry; null for a ping'),
    state: z.enum(deliveryStates),
    attempts: z.int(),
    createdAt: z.string(),
    attemptedAt: z.string().nullable(),
    dueAt: z.string().nullable().describe('the next try'),
    lastStatus: z.int().nullable(),
    lastFailure: z.string().nullable().describe('in words'),
  })
  .meta({ id: 'WebhookDelivery' });
export type WebhookDelivery = z.output<typeof webhookDeliverySchema>;

/** The body of a delivery. It names things by id, and says what the audit entry says. */
export const webhookEventSchema = z
  .object({
    id: z.string(),
    type: z.enum([...eventTypes, pingType]),
    createdAt: z.string(),
    workspace: z.string(),
    sequence: z.int().nullable(),
    actor: z.string(),
    subject: z.string(),
    reason: z.string().nullable(),
    data: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('the detail of the entry; null where it is too long, GET /v1/audit has it'),
  })
  .meta({ id: 'WebhookEvent' });
export type WebhookEvent = z.output<typeof webhookEventSchema>;
