// Sessions: who a secret of one speaks for, and what a job remembers of the run that launched it.

import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findGithubSession } from '../../store/github.ts';
import type { JobRow } from '../../store/jobs.ts';

/**
 * The actor of a session's secret, undefined where there is none. Throws `unauthenticated` for one
 * that expired or whose policy was removed.
 */
export async function actorOfSession(deps: Deps, secretDigest: string): Promise<Actor | undefined> {
  const found = await findGithubSession(deps.database.orm, { secretDigest });
  if (found === undefined) return undefined;
  const { session, policy, dataset, workspace } = found;
  if (policy.removedAt !== null) {
    throw new ProblemError(
      'unauthenticated',
      `This session is over: its policy was removed at ${policy.removedAt.toISOString()}.`,
    );
  }
  if (session.expiresAt <= deps.now()) {
    throw new ProblemError(
      'unauthenticated',
      `This session expired at ${session.expiresAt.toISOString()}. Exchange a new token of GitHub at POST /v1/github/exchange.`,
    );
  }
  return {
    workspaceId: session.workspaceId,
    workspaceName: workspace,
    name: session.actor,
    role: 'launcher',
    tokenId: session.id,
    github: {
      policy: policy.id,
      datasetId: policy.datasetId,
      dataset,
      aliases: policy.aliases,
      targets: policy.targets,
      dryRunOnly: session.dryRunOnly,
      claims: session.claims,
    },
  };
}

/** Whether the session of an actor still holds, and the policy that it was made by. */
export async function sessionHolds(deps: Deps, { tokenId }: Actor): Promise<boolean> {
  const found = await findGithubSession(deps.database.orm, { id: tokenId });
  return found?.policy.removedAt === null && found.session.expiresAt > deps.now();
}

/** What a job keeps of the run that launches it; null where a person does. */
export function githubOf({ github }: Actor): JobRow['github'] {
  return github === undefined ? null : { policy: github.policy, run: github.claims.run_id };
}
