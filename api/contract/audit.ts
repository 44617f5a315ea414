// Audit entries as listed and exported, and the filters of the list.

import { z } from 'zod';
import { listQuerySchema } from './shared.ts';

export const auditQuerySchema = listQuerySchema.extend({
  actor: z.string().optional(),
  action: z.string().optional(),
  subject: z.string().optional(),
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
});

export const auditEntrySchema = z
  .object({
    sequence: z.int(),
    at: z.string(),
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    reason: z.string().nullable(),
    detail: z.record(z.string(), z.unknown()),
    previousHash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' });

/** One line of the export: `hash` = SHA-256 of previousHash, newline, text. */
export const auditExportLineSchema = z.object({
  sequence: z.int(),
  previousHash: z.string(),
  hash: z.string(),
  text: z.string(),
});
