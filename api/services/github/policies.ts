// Trust policies: make, list, remove.

import type { CreateGithubPolicy, GithubPolicy } from '../../contract/github.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import {
  findGithubPolicy,
  type GithubPolicyRow,
  insertGithubPolicy,
  listGithubPolicies,
  moveGithubPolicyToRemoved,
  type NamedPolicy,
} from '../../store/github.ts';
import { requireDataset } from '../datasets.ts';
import { entryOf } from '../entries.ts';
import { requireTarget } from '../targets.ts';
import { issuersOf } from './verify.ts';

function policyView({ policy, dataset }: Omit<NamedPolicy, 'workspace'>): GithubPolicy {
  const { workspaceId: _, datasetId: __, createdAt, removedAt, ...rest } = policy;
  return {
    ...rest,
    dataset,
    createdAt: createdAt.toISOString(),
    removedAt: removedAt?.toISOString() ?? null,
  };
}

/** What a policy says, apart from when and by whom. */
function ruleDetail({ policy, dataset }: Omit<NamedPolicy, 'workspace'>) {
  const view = policyView({ policy, dataset });
  const { id: _, reason: __, createdAt, createdBy, removedAt, removedBy, ...detail } = view;
  return detail;
}

/** Makes a policy. Throws `unprocessable` for an issuer or a target that is not known here. */
export async function createGithubPolicy(
  deps: Deps,
  actor: Actor,
  { dataset: key, ...input }: CreateGithubPolicy,
): Promise<GithubPolicy> {
  requireIssuer(deps, input.issuer);
  input.targets?.forEach((name, place) => {
    requireTarget(deps, name, `/targets/${place}`);
  });
  const dataset = await requireDataset(deps, actor, key);
  const policy: GithubPolicyRow = {
    ...input,
    id: newId(deps),
    workspaceId: actor.workspaceId,
    datasetId: dataset.id,
    environments: input.environments ?? null,
    workflow: input.workflow ?? null,
    targets: input.targets ?? null,
    createdAt: deps.now(),
    createdBy: actor.name,
    removedAt: null,
    removedBy: null,
  };
  const made = { policy, dataset: dataset.name };
  const entry = entryOf(deps, actor, {
    action: 'github.policy.created',
    subject: `github-policy/${policy.id}`,
    reason: policy.reason,
    detail: ruleDetail(made),
  });
  await insertGithubPolicy(deps.database.orm, policy, entry);
  return policyView(made);
}

function requireIssuer(deps: Deps, issuer: string): void {
  const known = issuersOf(deps).map((one) => one.issuer);
  if (known.includes(issuer)) return;
  throw new ProblemError(
    'unprocessable',
    `Issuer "${issuer}" is not one of this deployment, which has ${known.join(', ')}; CW_GITHUB_ISSUERS adds to them.`,
    { errors: [{ pointer: '/issuer', detail: 'not an issuer of this deployment' }] },
  );
}

/** Policies of the workspace in the order they were made, removed ones included. */
export async function pageOfGithubPolicies(
  deps: Deps,
  actor: Actor,
  page: { after?: string; limit: number },
): Promise<GithubPolicy[]> {
  const query = { workspaceId: actor.workspaceId, ...page };
  return (await listGithubPolicies(deps.database.orm, query)).map(policyView);
}

/** Removes a policy and ends its sessions, at once. Again: nothing changes. */
export async function getGithubPolicy(deps: Deps, actor: Actor, id: string): Promise<GithubPolicy> {
  return policyView(await requireGithubPolicy(deps, actor, id));
}

async function requireGithubPolicy(
  deps: Deps,
  { workspaceId }: Actor,
  id: string,
): Promise<NamedPolicy> {
  const found = await findGithubPolicy(deps.database.orm, { workspaceId, id });
  if (found !== undefined) return found;
  throw new ProblemError(
    'not-found',
    `There is no policy "${id}" in this workspace. GET /v1/github/policies lists them.`,
  );
}

export async function removeGithubPolicy(
  deps: Deps,
  actor: Actor,
  id: string,
): Promise<GithubPolicy> {
  const key = { workspaceId: actor.workspaceId, id };
  const found = await requireGithubPolicy(deps, actor, id);
  const at = deps.now();
  const entry = entryOf(deps, actor, {
    action: 'github.policy.removed',
    subject: `github-policy/${id}`,
    detail: ruleDetail(found),
    at,
  });
  await moveGithubPolicyToRemoved(deps.database.orm, { ...key, at, by: actor.name }, entry);
  return await getGithubPolicy(deps, actor, id);
}
