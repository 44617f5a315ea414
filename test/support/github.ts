// A service that trusts a repository: an alias to launch from, a policy, runs that have a session.

import type { JWTPayload } from 'jose';
import type { GithubSession } from '../../api/contract/github.ts';
import type { Database } from '../../api/store/database.ts';
import { type Sending, sendingOf } from './app.ts';
import { must } from './builders.ts';
import { openGithubIssuer, runClaims, type TestIssuer } from './github-issuer.ts';
import { type JobTest, jobSeed, jobSettings, openJobTest } from './jobs.ts';

export type GithubTest = JobTest & {
  issuer: TestIssuer;
  /** A policy for pushes to main, `phantom@production`; the body overrides. */
  policy: (body?: object, by?: Sending) => Promise<any>;
  /** Exchanges the token of a run; the claims override those of a push to main. */
  exchange: (claims?: JWTPayload, body?: object) => Promise<{ status: number; body: any }>;
  exchangeToken: (token: string, body?: object) => Promise<{ status: number; body: any }>;
  /** A run with its session. */
  run: (claims?: JWTPayload) => Promise<Sending & { session: GithubSession }>;
  closeAll: () => Promise<void>;
};

export const policyBody = {
  repository: 'octo-lab/segmentation',
  repositoryId: '424242',
  repositoryOwnerId: '2020',
  refs: ['refs/heads/main'],
  events: ['push'],
  dataset: 'phantom',
  aliases: ['production'],
  reason: 'nightly retraining',
};

/** What a run asks for when it launches; a job of fold 0. */
export const launchBody = {
  snapshot: 'phantom@production:0',
  target: 'local',
  seed: jobSeed,
  settings: jobSettings,
  reason: 'pushed',
};

export async function openGithubTest(database?: Database): Promise<GithubTest> {
  const api = await openJobTest({}, database);
  const issuer = await openGithubIssuer();
  api.deps.githubIssuers = [{ issuer: issuer.issuer, jwks: issuer.jwks }];
  const alias = '/v1/datasets/phantom/aliases/production';
  await must(api, 201, 'PUT', alias, { snapshots: { 0: api.snapshot }, reason: 'it did well' });
  const exchangeToken: GithubTest['exchangeToken'] = (token, body) =>
    sendingOf(api.app, null).call('POST', '/v1/github/exchange', { token, ...body });
  const exchange: GithubTest['exchange'] = async (claims, body) =>
    await exchangeToken(await issuer.sign(runClaims(api.deps.now(), claims)), body);
  return {
    ...api,
    issuer,
    policy: (body, by = api) =>
      must(by, 201, 'POST', '/v1/github/policies', {
        ...policyBody,
        issuer: issuer.issuer,
        ...body,
      }),
    exchange,
    exchangeToken,
    run: async (claims) => {
      const { status, body } = await exchange(claims);
      if (status !== 201) throw new Error(`no session: ${JSON.stringify(body)}`);
      return { ...sendingOf(api.app, body.token), session: body };
    },
    closeAll: async () => {
      issuer.close();
      await api.database.close();
    },
  };
}
