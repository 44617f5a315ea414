// Whose token a trainer holds: one attempt of one job. A revoked attempt is told so with 409 and
// must exit; it can write nothing any more.

import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { sha256Text } from '../../ids.ts';
import {
  type AttemptRow,
  findAttempt,
  findAttemptByToken,
  type JobAttempt,
  moveAttempt,
} from '../../store/attempts.ts';
import { findSnapshotById, type SnapshotRow } from '../../store/snapshots.ts';

export type TrainerSession = JobAttempt;

/** The attempt of a trainer's token; throws `unauthenticated`, or `conflict` once it is revoked. */
export async function trainerSession(
  deps: Deps,
  secret: string,
  { allowRevoked = false }: { allowRevoked?: boolean } = {},
): Promise<TrainerSession> {
  const found = await findAttemptByToken(deps.database.orm, await sha256Text(secret));
  if (found === undefined) {
    throw new ProblemError('unauthenticated', 'This token is of no attempt of a job here.');
  }
  if (!allowRevoked) requireLive(found.attempt);
  return found;
}

/** The snapshot that the job was launched with. */
export async function launchedSnapshot(deps: Deps, { job }: TrainerSession): Promise<SnapshotRow> {
  const snapshot = await findSnapshotById(deps.database.orm, job.snapshotId);
  if (snapshot === undefined) throw new ProblemError('internal', 'The job has lost its snapshot.');
  return snapshot;
}

export function requireLive({ attempt, revokedAt }: AttemptRow): void {
  if (revokedAt === null) return;
  throw new ProblemError(
    'conflict',
    `Attempt ${attempt} of this job is over and can write nothing any more; stop now.`,
  );
}

/** Throws `conflict` where the attempt was revoked after the session was read. */
export async function requireStillLive(deps: Deps, { attempt }: TrainerSession): Promise<void> {
  const found = await findAttempt(deps.database.orm, attempt);
  if (found !== undefined) requireLive(found.attempt);
}

/** Notes that the trainer of an attempt is alive; its first word makes the attempt `running`. */
export async function noteContact(deps: Deps, { attempt }: TrainerSession): Promise<void> {
  if (attempt.state === 'running' || attempt.state === 'finishing') return;
  const at = deps.now();
  await moveAttempt(deps.database.orm, {
    key: { jobId: attempt.jobId, attempt: attempt.attempt },
    from: attempt.state,
    at,
    change: { state: 'running', lastContactAt: at, startedAt: attempt.startedAt ?? at },
  });
}
