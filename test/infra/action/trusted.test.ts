// A step without a token, from GitHub's signature to the end of its job: a real issuer, the real
// exchange, and a session that may do what its policy says and nothing else.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type ActionTest, openActionTest } from '../../support/action.ts';
import {
  endSteps,
  pullRequestEvent,
  type RunnerOptions,
  runAction,
  startAction,
} from '../../support/action-runner.ts';
import { must } from '../../support/builders.ts';
import { type FakeGithub, openFakeGithub } from '../../support/fake-github.ts';
import { policyBody } from '../../support/github.ts';
import {
  openGithubIssuer,
  pullRequest,
  runClaims,
  type TestIssuer,
} from '../../support/github-issuer.ts';

let api: ActionTest;
let issuer: TestIssuer;
let github: FakeGithub;
let claims: Record<string, string>;
let policy: string;
let run = 7_000;

beforeAll(async () => {
  api = await openActionTest();
  issuer = await openGithubIssuer();
  // A step reads the clock of its machine, and so do its tokens.
  api.deps.now = () => new Date();
  api.deps.githubIssuers = [{ issuer: issuer.issuer, jwks: issuer.jwks }];
  api.deps.githubAudience = api.url;
});
afterAll(async () => {
  issuer.close();
  await api.closeAll();
});
beforeEach(async () => {
  run += 1;
  claims = { run_id: String(run) };
  github = await openFakeGithub((aud) => issuer.sign(runClaims(new Date(), { ...claims, aud })));
  policy = await trust({});
});
afterEach(async () => {
  endSteps();
  github.close();
  await must(api, 200, 'DELETE', `/v1/github/policies/${policy}`);
});

async function trust(more: object): Promise<string> {
  const body = { ...policyBody, issuer: issuer.issuer, targets: ['local'], ...more };
  return (await must(api, 201, 'POST', '/v1/github/policies', body)).id;
}

function options(more: Partial<RunnerOptions> = {}): RunnerOptions {
  const env = { ...github.idTokenEnvironment, GITHUB_RUN_ID: claims.run_id, ...more.env };
  return { ...more, env, inputs: { ...api.inputs, token: '', ...more.inputs } };
}

async function following() {
  const step = startAction(options());
  await vi.waitFor(() => expect(step.log()).toContain('::group::Job'), 20_000);
  return { ...step, id: api.jobIds().at(-1) as string };
}

test('a run launches from its alias, follows its job and writes the summary', async () => {
  const step = await following();
  await api.succeed(step.id);
  const ran = await step.done;
  expect([ran.code, ran.outputs.state]).toEqual([0, 'succeeded']);
  expect(ran.summary).toContain('site=A');
  const who = `github:octo-lab/segmentation@refs/heads/main (run ${run}/1, by octocat)`;
  expect((await api.read(step.id)).createdBy).toBe(who);
  expect(await api.audit(step.id)).toContain('job.launched');
});

test('a run that is cancelled cancels its job', async () => {
  const step = await following();
  step.process.kill('SIGINT');
  await step.done;
  expect((await api.read(step.id)).state).toBe('cancelling');
});

test('a pull request sees the request alone, whatever it asks for', async () => {
  await must(api, 200, 'DELETE', `/v1/github/policies/${policy}`);
  policy = await trust({ events: ['pull_request'], refs: ['refs/pull/*'] });
  claims = { ...claims, ...pullRequest };
  const before = api.jobIds().length;
  const ran = await runAction(options({ event: pullRequestEvent() }));
  expect([ran.code, api.jobIds().length]).toEqual([0, before]);
  expect(JSON.parse(ran.outputs['dry-run-request'])).toMatchObject([{ fold: '0' }]);
});

test('a run that no policy trusts is told what it said of itself', async () => {
  claims = { ...claims, ref: 'refs/heads/try-it' };
  const before = api.jobIds().length;
  const ran = await runAction(options());
  expect([ran.code, api.jobIds().length]).toEqual([3, before]);
  expect(ran.annotations.at(-1)?.message).toContain('refs/heads/try-it');
});
