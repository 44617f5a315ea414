// What started the run, from the environment that a runner gives every step.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

type Environment = Record<string, string | undefined>;

export type RunEvent = {
  /** Events of pull requests launch nothing. */
  isPullRequest: boolean;
  /** From a repository that is not this one: it has neither secrets nor OIDC tokens. */
  isFork: boolean;
  /** Number of the pull request to comment on. */
  pullRequest: number | null;
  repository: string;
  reason: string;
  runUrl: string;
  githubApi: string;
  /** Tells this step of this run and attempt from every other one. */
  step: string;
  /** Tells this step of this workflow from others, the same in every run. */
  place: string;
};

type Payload = {
  repository?: { id?: number };
  pull_request?: { number?: number; head?: { repo?: { id?: number } | null } };
};

export function eventOf(env: Environment, matrix: string): RunEvent {
  const name = env.GITHUB_EVENT_NAME ?? '';
  const payload = payloadOf(env.GITHUB_EVENT_PATH);
  const isPullRequest = name.startsWith('pull_request');
  const { pull_request: request } = payload;
  const attempt = env.GITHUB_RUN_ATTEMPT ?? '1';
  const run = `${env.GITHUB_SERVER_URL}/${env.GITHUB_REPOSITORY}/actions/runs/${env.GITHUB_RUN_ID}`;
  const runUrl = `${run}/attempts/${attempt}`;
  const place = [env.GITHUB_WORKFLOW, env.GITHUB_JOB, env.GITHUB_ACTION, matrix];
  const step = [env.GITHUB_REPOSITORY_ID, env.GITHUB_RUN_ID, attempt];
  return {
    isPullRequest,
    isFork: isPullRequest && request?.head?.repo?.id !== payload.repository?.id,
    pullRequest: request?.number ?? null,
    repository: env.GITHUB_REPOSITORY ?? '',
    reason: `GitHub workflow ${env.GITHUB_WORKFLOW}, ${name} of ${env.GITHUB_REF} at ${env.GITHUB_SHA?.slice(0, 12)} by ${env.GITHUB_ACTOR}: ${runUrl}`,
    runUrl,
    githubApi: env.GITHUB_API_URL ?? 'https://api.github.com',
    step: `github-${step.join('-')}-${hashOf(place)}`,
    place: hashOf(place),
  };
}

/** Of a step of one attempt of a run, and of what it asks for: two legs may share all but that. */
export const keyOf = ({ step }: RunEvent, body: unknown) => `${step}-${hashOf([body])}`;

function hashOf(parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function payloadOf(path: string | undefined): Payload {
  return path === undefined ? {} : (JSON.parse(readFileSync(path, 'utf8')) as Payload);
}
