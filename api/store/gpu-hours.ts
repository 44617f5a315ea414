// What counts against the GPU hours of a launch target. The limit is the machine's, so these read
// across workspaces and are given a handle that sees all of them; no row of theirs is shown.

import { and, eq, gt, inArray, isNotNull, isNull, or, sql } from 'drizzle-orm';
import { type AttemptKey, moveToSubmitting, type Room } from './attempts.ts';
import type { Orm } from './database.ts';
import { jobAttempts, jobs } from './schema-jobs.ts';

/** An attempt with GPUs. Not started: its engine was given it and has not started it yet. */
export type GpuUse = {
  target: string;
  gpus: number;
  timeoutSeconds: number;
  startedAt: Date | null;
  endedAt: Date | null;
};

const gpuCount = sql<number>`(${jobs.resources} -> 'gpus' ->> 'count')::int`;
const timeoutSeconds = sql<number>`(${jobs.resources} ->> 'timeoutSeconds')::int`;

/** Attempts that engines hold, and those that ran and ended after a moment. */
export async function listGpuUse(
  orm: Orm,
  { targets, since }: { targets: string[]; since: Date },
): Promise<GpuUse[]> {
  if (targets.length === 0) return [];
  const { handle, submitLeaseUntil, startedAt, endedAt } = jobAttempts;
  const given = or(isNotNull(handle), isNotNull(submitLeaseUntil), isNotNull(startedAt));
  return await orm
    .select({ target: jobs.target, gpus: gpuCount, timeoutSeconds, startedAt, endedAt })
    .from(jobAttempts)
    .innerJoin(jobs, eq(jobs.id, jobAttempts.jobId))
    .where(
      and(
        inArray(jobs.target, targets),
        gt(gpuCount, 0),
        or(and(isNull(endedAt), given), and(gt(endedAt, since), isNotNull(startedAt))),
      ),
    );
}

/**
 * `moveToSubmitting` where there is room on the target. One attempt of a target at a time: what
 * `hasRoom` is told has not changed when the attempt moves.
 */
export async function moveToSubmittingWithin(
  orm: Orm,
  {
    target,
    since,
    ...lease
  }: AttemptKey & { now: Date; leaseUntil: Date; room?: Room; target: string; since: Date },
  hasRoom: (uses: GpuUse[]) => boolean,
): Promise<boolean> {
  return await orm.transaction(async (tx) => {
    await tx.execute(
      sql`select pg_advisory_xact_lock(hashtextextended(${`gpu-hours/${target}`}, 0))`,
    );
    if (!hasRoom(await listGpuUse(tx, { targets: [target], since }))) return false;
    return await moveToSubmitting(tx, lease);
  });
}
