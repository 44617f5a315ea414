// Keyless GitHub: issuers whose tokens are read, trust policies, claims of a run, sessions.

import { z } from 'zod';
import { nameSchema, reasonSchema } from './shared.ts';

/** Whose tokens are read in every deployment. */
export const githubDotCom = 'https://token.actions.githubusercontent.com';

/** Plain http only to this machine: keys that anybody on the way can change prove nothing. */
const issuerUrl = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((url) => /^(https:|http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/]|$))/.test(url), {
    error: 'starts with https://',
  });

/** Where GitHub serves its keys, GitHub Enterprise Server too. */
const keysOf = (issuer: string) => `${issuer}/.well-known/jwks`;

const issuerSchema = z
  .union([issuerUrl, z.strictObject({ issuer: issuerUrl, jwks: issuerUrl.optional() })])
  .transform((one) => (typeof one === 'string' ? { issuer: one } : one))
  .transform(({ issuer, jwks = keysOf(issuer) }: { issuer: string; jwks?: string }) => ({
    issuer,
    jwks,
  }));

/** Issuers beside github.com, as addresses or with the address of their keys. */
export const githubIssuersSchema = z
  .array(issuerSchema)
  .max(20)
  .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, {
    error: 'an issuer is named twice',
  });
export type GithubIssuer = { issuer: string; jwks: string };

/**
 * Events whose workflow a stranger cannot start (issue_comment, workflow_run, fork and the like are
 * not here); those of pull requests see dry runs only.
 */
export const githubEvents = [
  'push',
  'workflow_dispatch',
  'repository_dispatch',
  'schedule',
  'release',
  'deployment',
  'merge_group',
  'pull_request',
  'pull_request_target',
] as const;
export type GithubEvent = (typeof githubEvents)[number];

const decimalId = z.string().regex(/^[1-9][0-9]{0,19}$/, 'an id of GitHub: a number, as a string');

const refPattern = z
  .string()
  .max(300)
  .regex(
    /^refs\/(heads|tags|pull)\/[^*\s]*\*?$/,
    'a ref as refs/heads/main or refs/tags/v*: a star may stand at its end only',
  );

const workflowPattern = z
  .string()
  .max(500)
  .regex(
    /^\.github\/workflows\/[^@*\s]+(@refs\/[^@*\s]*\*?)?$/,
    'a workflow as .github/workflows/train.yml or .github/workflows/train.yml@refs/heads/main',
  );

const listOf = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .min(1)
    .max(50)
    .refine((all) => new Set(all).size === all.length, { error: 'names one twice' });

export const createGithubPolicySchema = z
  .strictObject({
    issuer: z.string().max(500).default(githubDotCom),
    /** OWNER/NAME, shown in lists and never compared: a name can be registered again. */
    repository: z
      .string()
      .max(200)
      .regex(/^[^\s/]+\/[^\s/]+$/, 'OWNER/NAME'),
    repositoryId: decimalId,
    repositoryOwnerId: decimalId,
    refs: listOf(refPattern),
    events: listOf(z.enum(githubEvents)),
    /** Left out, a job needs none. */
    environments: listOf(z.string().min(1).max(255)).optional(),
    /** Of the repository, at any ref or at one; left out, any workflow. */
    workflow: workflowPattern.optional(),
    /** By name or id. */
    dataset: z.string().max(200),
    aliases: listOf(nameSchema),
    /** Left out, every launch target. */
    targets: listOf(nameSchema).optional(),
    reason: reasonSchema,
  })
  .meta({ id: 'CreateGithubPolicy' });
export type CreateGithubPolicy = z.output<typeof createGithubPolicySchema>;

export const githubPolicySchema = z
  .object({
    id: z.string(),
    issuer: z.string(),
    repository: z.string(),
    repositoryId: z.string(),
    repositoryOwnerId: z.string(),
    refs: z.array(z.string()),
    events: z.array(z.enum(githubEvents)),
    environments: z.array(z.string()).nullable(),
    workflow: z.string().nullable(),
    dataset: z.string(),
    aliases: z.array(z.string()),
    targets: z.array(z.string()).nullable(),
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
    removedAt: z.string().nullable(),
    removedBy: z.string().nullable(),
  })
  .meta({ id: 'GithubPolicy' });
export type GithubPolicy = z.output<typeof githubPolicySchema>;

/** GitHub's are 1 to 2 kB. */
export const largestGithubToken = 8_192;

export const exchangeSchema = z
  .strictObject({
    /** The OIDC token of a workflow run. */
    token: z.string().min(1).max(largestGithubToken),
    /** Needed where several policies trust the run. */
    policy: z.string().max(100).optional(),
  })
  .meta({ id: 'GithubExchange' });
export type GithubExchange = z.output<typeof exchangeSchema>;

export const githubSessionSchema = z
  .object({
    token: z.string(),
    expiresAt: z.string(),
    workspace: z.string(),
    actor: z.string(),
    /** A pull request's: what it asks for is shown and not launched. */
    dryRunOnly: z.boolean(),
    dataset: z.string(),
    aliases: z.array(z.string()),
    /** Null: every one. */
    targets: z.array(z.string()).nullable(),
    policy: z.string(),
  })
  .meta({ id: 'GithubSession' });
export type GithubSession = z.output<typeof githubSessionSchema>;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const claim = z.string().regex(/^[^\u0000-\u001f\u007f\p{Surrogate}]*$/u);
const said = claim.min(1);
const time = z.number().min(0).max(1e11);

/**
 * What a workflow run says of itself, as GitHub names it. Every value is a text, numbers too;
 * others than these are not read.
 */
export const githubClaimsSchema = z.object({
  iss: said,
  /** One and no list: a token that is also for somebody else could be sent on by them. */
  aud: said,
  sub: said,
  jti: said.max(255),
  exp: time,
  iat: time,
  nbf: time.optional(),
  repository: said.regex(/^[^/]+\/[^/]+$/),
  repository_id: decimalId,
  repository_owner: said,
  repository_owner_id: decimalId,
  ref: said,
  ref_type: said,
  event_name: said,
  workflow_ref: said,
  run_id: decimalId,
  run_attempt: decimalId,
  actor: said,
  actor_id: decimalId,
  environment: claim.optional(),
  job_workflow_ref: claim.optional(),
  head_ref: claim.optional(),
  base_ref: claim.optional(),
  head_repository: claim.optional(),
  head_repository_id: claim.optional(),
  sha: claim.optional(),
  run_number: claim.optional(),
  workflow: claim.optional(),
  workflow_sha: claim.optional(),
  job_workflow_sha: claim.optional(),
  repository_visibility: claim.optional(),
  runner_environment: claim.optional(),
  enterprise: claim.optional(),
  enterprise_id: claim.optional(),
  check_run_id: claim.optional(),
});
export type GithubClaims = z.output<typeof githubClaimsSchema>;
