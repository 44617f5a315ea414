// Withdrawn cases: who took which case out of every later snapshot, and why. A withdrawal is never
// taken back.

import { z } from 'zod';
import { jobStates } from './jobs.ts';
import { reasonSchema } from './shared.ts';

export const withdrawSchema = z
  .strictObject({ caseId: z.string().min(1).max(1000), reason: reasonSchema })
  .meta({ id: 'WithdrawCase' });
export type Withdraw = z.infer<typeof withdrawSchema>;

export const withdrawalSchema = z
  .object({
    caseId: z.string(),
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
  })
  .meta({ id: 'Withdrawal' });
export type Withdrawal = z.infer<typeof withdrawalSchema>;

/** A withdrawal with what it came too late for: snapshots that hold the case, jobs that draw it. */
export const withdrawnSchema = withdrawalSchema
  .extend({
    snapshots: z.int(),
    jobs: z.array(z.object({ id: z.string(), state: z.enum(jobStates) })),
  })
  .meta({ id: 'WithdrawnCase' });
export type WithdrawnCase = z.infer<typeof withdrawnSchema>;
