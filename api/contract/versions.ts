// Dataset versions: a draft takes cases and splits; committed, it never changes again.

import { z } from 'zod';
import { largestInteger, reasonSchema } from './shared.ts';

export const openVersionSchema = z
  .strictObject({ base: z.int().min(1).max(largestInteger).optional(), reason: reasonSchema })
  .meta({ id: 'OpenVersion' });
export type OpenVersion = z.infer<typeof openVersionSchema>;

export const commitVersionSchema = z
  .strictObject({ reason: reasonSchema })
  .meta({ id: 'CommitVersion' });

export const versionSchema = z
  .object({
    number: z.int(),
    state: z.enum(['draft', 'committed', 'discarded']),
    base: z.int().nullable(),
    reason: z.string(),
    digest: z.string().nullable(),
    caseCount: z.int().nullable(),
    splits: z.record(z.string(), z.int()).optional(),
    createdAt: z.string(),
    createdBy: z.string(),
    committedAt: z.string().nullable(),
    committedBy: z.string().nullable(),
  })
  .meta({ id: 'DatasetVersion' });
export type Version = z.infer<typeof versionSchema>;
