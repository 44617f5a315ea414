// Case lines: what a lab uploads, one JSON object a line. Images never leave the lab; only their
// paths, digests and measured attributes do.

import { z } from 'zod';
import { isStorableText } from './shared.ts';

/** Limits of one upload part, decompressed. */
export const uploadLimits = {
  partBytes: 64 * 1024 * 1024,
  partLines: 500_000,
  lineBytes: 1024 * 1024,
  faults: 100,
};

export const caseFileSchema = z.object({
  path: z.string().min(1).max(1000).refine(isStorableText, 'the path cannot be stored'),
  sha256: z.string().regex(/^(sha256:)?[0-9a-f]{64}$/),
});
export type CaseFile = z.infer<typeof caseFileSchema>;

export const caseSchema = z
  .object({
    id: z.string(),
    attributes: z.record(z.string(), z.unknown()),
    files: z.array(caseFileSchema).optional(),
  })
  .meta({ id: 'Case' });
export type Case = z.infer<typeof caseSchema>;

export const removedCaseSchema = z.object({ id: z.string(), removed: z.literal(true) });

export const uploadAnswerSchema = z
  .object({ received: z.int(), inserted: z.int(), updated: z.int(), removed: z.int() })
  .meta({ id: 'UploadAnswer' });
export type UploadAnswer = z.infer<typeof uploadAnswerSchema>;
