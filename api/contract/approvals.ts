// Approvals: who vouches for a snapshot, and for what. One binds to the digest, so to the numbers
// themselves, and stands until somebody revokes it.

import { z } from 'zod';
import { digestSchema, reasonSchema } from './shared.ts';

export const approveSchema = z
  .strictObject({
    /** What is vouched for, as "clinical review". */
    meaning: z.string().trim().min(1).max(200),
    reason: reasonSchema,
  })
  .meta({ id: 'ApproveSnapshot' });
export type Approve = z.infer<typeof approveSchema>;

export const revokeApprovalSchema = z
  .strictObject({ reason: reasonSchema })
  .meta({ id: 'RevokeApproval' });

export const approvalSchema = z
  .object({
    id: z.string(),
    /** Digest of the snapshot. */
    snapshot: digestSchema,
    meaning: z.string(),
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
    revoked: z
      .object({ reason: z.string(), createdAt: z.string(), createdBy: z.string() })
      .nullable(),
  })
  .meta({ id: 'Approval' });
export type Approval = z.infer<typeof approvalSchema>;
