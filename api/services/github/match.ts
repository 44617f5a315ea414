// Whether a policy trusts a workflow run, and whether the run is of a pull request: pure readings
// of its claims. Every rule has to hold; what a policy does not say is no rule.

import type { GithubClaims } from '../../contract/github.ts';
import type { GithubPolicyRow } from '../../store/github.ts';

/** What a policy asks of a run. */
export type GithubRules = Pick<
  GithubPolicyRow,
  'issuer' | 'repositoryId' | 'repositoryOwnerId' | 'refs' | 'events' | 'environments' | 'workflow'
>;

/** Equal, or beginning with what stands before a star at the end. */
export function fits(pattern: string, text: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern;
}

export function trusts(rules: GithubRules, claims: GithubClaims): boolean {
  const { environment = '' } = claims;
  return (
    rules.issuer === claims.iss &&
    rules.repositoryId === claims.repository_id &&
    rules.repositoryOwnerId === claims.repository_owner_id &&
    rules.refs.some((pattern) => fits(pattern, claims.ref)) &&
    rules.events.some((event) => event === claims.event_name) &&
    (rules.environments === null || rules.environments.includes(environment)) &&
    (rules.workflow === null || isWorkflow(rules.workflow, claims))
  );
}

// OWNER/NAME/.github/workflows/train.yml@refs/heads/main, where owner and name may be new ones.
function isWorkflow(pattern: string, { workflow_ref, repository }: GithubClaims): boolean {
  if (!workflow_ref.startsWith(`${repository}/`)) return false;
  const own = workflow_ref.slice(repository.length + 1);
  if (pattern.includes('@')) return fits(pattern, own);
  return own.startsWith(`${pattern}@`);
}

/** Whether what a run does may come from a pull request, whose code nobody has to have read. */
export function isPullRequest({ event_name, ref, head_ref = '' }: GithubClaims): boolean {
  return event_name.startsWith('pull_request') || ref.startsWith('refs/pull/') || head_ref !== '';
}

/** Whether a run says that its code is of another repository. */
export function isFork(claims: GithubClaims): boolean {
  const { head_repository: name, head_repository_id: id } = claims;
  const otherName = name !== undefined && name !== '' && name !== claims.repository;
  return otherName || (id !== undefined && id !== '' && id !== claims.repository_id);
}
