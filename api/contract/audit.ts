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

export const auditVerifyQuerySchema = z.object({
  scope: z
    .enum(['all', 'chain'])
    .default('all')
    .describe('chain: only that entries follow from each other, not what they vouch for'),
});

const findingSchema = z.object({
  kind: z.enum(['chain', 'snapshot', 'chunk', 'job', 'ledger', 'approval', 'alias', 'withdrawal']),
  subject: z.string(),
  sequence: z.int().optional().describe('of the entry that says otherwise'),
  chunk: z.int().optional(),
  detail: z.string(),
});

/** What a check found; `sequence` and `detail` are those of the first finding. */
export const auditVerdictSchema = z
  .object({
    ok: z.boolean(),
    checked: z.int().describe('entries'),
    snapshots: z.int(),
    chunks: z.int(),
    ledgerRows: z.int(),
    findings: z.array(findingSchema).describe('at most 100'),
    sequence: z.int().optional(),
    detail: z.string().optional(),
  })
  .meta({ id: 'AuditVerdict' });

const signatureSchema = z.object({
  algorithm: z.literal('Ed25519'),
  publicKey: z.string().describe('base64 of the key as SubjectPublicKeyInfo (DER)'),
  keyId: z.string(),
  value: z.string().describe('base64; over the canonical JSON of workspace, sequence, hash, at'),
});

export const auditKeySchema = signatureSchema.omit({ value: true }).meta({ id: 'AuditKey' });

const anchoredSchema = z.object({
  sequence: z.int(),
  hash: z.string(),
  at: z.string(),
  target: z.string(),
});

/** The newest entry; `signature` where the deployment has a key. */
export const auditHeadSchema = z
  .object({
    workspace: z.string(),
    sequence: z.int(),
    hash: z.string(),
    at: z.string().nullable().describe('null for a chain without entries'),
    signature: signatureSchema.optional(),
    lastAnchored: anchoredSchema.nullable(),
  })
  .meta({ id: 'AuditHead' });
