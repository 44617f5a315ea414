// A workflow run shows its token of GitHub and gets a session: once per token, for what the one
// policy that trusts the run allows.

import type { GithubClaims, GithubExchange, GithubSession } from '../../contract/github.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId, newSecret, sha256Text } from '../../ids.ts';
import { insertGithubSession, listGithubPoliciesOf, type NamedPolicy } from '../../store/github.ts';
import { isFork, isPullRequest, trusts } from './match.ts';
import { clockToleranceSeconds, verifyGithubToken } from './verify.ts';

/** A run that waits longer exchanges a new token. */
export const sessionMs = 15 * 60_000;

/**
 * Exchanges a token. Throws `unauthenticated` for a token that does not hold or was exchanged
 * before, `forbidden` where no policy trusts the run, `conflict` where several do and it names
 * none.
 */
export async function exchangeGithubToken(
  deps: Deps,
  { token, policy: wanted }: GithubExchange,
): Promise<GithubSession> {
  const claims = await verifyGithubToken(deps, token);
  const found = await requirePolicy(deps, claims, wanted);
  const secret = newSecret(deps.randomBytes);
  const now = deps.now();
  const expiresAt = new Date(now.getTime() + sessionMs);
  // Read again until its end and the tolerance are over, a token would be taken a second time.
  const usableUntil = (claims.exp + clockToleranceSeconds + 1) * 1000;
  const session = {
    id: newId(deps),
    workspaceId: found.policy.workspaceId,
    policyId: found.policy.id,
    issuer: claims.iss,
    jti: claims.jti,
    secretDigest: await sha256Text(secret),
    actor: actorOf(claims),
    claims,
    dryRunOnly: isPullRequest(claims),
    createdAt: now,
    expiresAt,
    forgetAt: new Date(Math.max(usableUntil, expiresAt.getTime())),
  };
  const { actor, dryRunOnly } = session;
  const stored = await insertGithubSession(deps.database.orm, session, {
    workspaceId: session.workspaceId,
    at: now,
    actor,
    action: 'github.session.created',
    subject: `github-session/${session.id}`,
    reason: null,
    detail: { policy: found.policy.id, dryRunOnly, expiresAt: expiresAt.toISOString(), claims },
  });
  if (!stored) {
    throw new ProblemError(
      'unauthenticated',
      'This token of GitHub is not accepted: it was exchanged before, and each counts once; ask GitHub for a new one.',
    );
  }
  const { id: policy, aliases, targets } = found.policy;
  const { workspace, dataset } = found;
  const until = expiresAt.toISOString();
  return {
    token: secret,
    expiresAt: until,
    workspace,
    actor,
    dryRunOnly,
    dataset,
    aliases,
    targets,
    policy,
  };
}

function actorOf({ repository, ref, run_id, run_attempt, actor }: GithubClaims): string {
  return `github:${repository}@${ref} (run ${run_id}/${run_attempt}, by ${actor})`;
}

// Who is refused learns what it said itself and nothing of what would have been trusted.
async function requirePolicy(
  deps: Deps,
  claims: GithubClaims,
  wanted: string | undefined,
): Promise<NamedPolicy> {
  const of = {
    issuer: claims.iss,
    repositoryId: claims.repository_id,
    repositoryOwnerId: claims.repository_owner_id,
  };
  const found = isFork(claims)
    ? []
    : (await listGithubPoliciesOf(deps.database.orm, of)).filter(({ policy }) =>
        trusts(policy, claims),
      );
  const meant = found.filter(({ policy }) => wanted === undefined || policy.id === wanted);
  if (meant.length === 1) return meant[0];
  if (meant.length === 0) throw untrusted(claims);
  throw new ProblemError(
    'conflict',
    'Several policies trust this run: send policy with the id of the one that is meant. An admin of its workspace sees it at GET /v1/github/policies.',
  );
}

const toldClaims = [
  'repository',
  'repository_id',
  'repository_owner_id',
  'ref',
  'event_name',
  'environment',
  'workflow_ref',
] as const;

function untrusted(claims: GithubClaims): ProblemError {
  const told = toldClaims.map((name) => `${name} ${JSON.stringify(claims[name] ?? null)}`);
  return new ProblemError(
    'forbidden',
    `No policy of this deployment trusts this run, which says of itself: ${told.join(', ')}. An admin makes one with POST /v1/github/policies; runs of forks are never trusted.`,
  );
}
