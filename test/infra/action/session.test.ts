// A step without a token: the run's OIDC token is exchanged for a session, which is renewed while
// the step waits. And the one comment on a pull request.

import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ActionTest, openActionTest } from '../../support/action.ts';
import {
  endSteps,
  pullRequestEvent,
  type RunnerOptions,
  type Running,
  runAction,
  startAction,
} from '../../support/action-runner.ts';
import { type FakeGithub, githubInputs, openFakeGithub } from '../../support/fake-github.ts';

let api: ActionTest;
let github: FakeGithub;
let run = 0;
/** Sessions that were given out: their secrets, and the OIDC tokens that they cost. */
let sessions: { token: string; tokenId: string; idToken: string; policy?: string }[];
let lifeMs: number;
let dryRunOnly: boolean;

beforeAll(async () => {
  api = await openActionTest();
});
afterAll(() => api.closeAll());
beforeEach(async () => {
  github = await openFakeGithub(() => `jwt-${randomUUID()}`);
  [sessions, lifeMs, dryRunOnly] = [[], 900_000, false];
  api.meddle(exchange);
  api.asked.length = 0;
  run += 1;
});
afterEach(() => {
  endSteps();
  github.close();
});

/** The exchange as the service answers it; each OIDC token is good for one. */
async function exchange(request: Request): Promise<Response | undefined> {
  if (!request.url.endsWith('/v1/github/exchange')) return undefined;
  const { token: idToken, policy } = (await request.json()) as { token: string; policy?: string };
  const given = github.idTokens.some(({ token }) => token === idToken);
  if (!given || sessions.some((one) => one.idToken === idToken)) {
    return Response.json({ status: 401, detail: 'used before' }, { status: 401 });
  }
  const { token, tokenId } = await api.as(`octo-lab/segmentation ${sessions.length}`, 'launcher');
  sessions.push({ token, tokenId, idToken, policy });
  const expiresAt = new Date(Date.now() + lifeMs).toISOString();
  const rest = { workspace: 'default', actor: 'octo-lab/segmentation', dataset: 'phantom' };
  const body = { token, expiresAt, dryRunOnly, aliases: ['production'], ...rest };
  return Response.json(body, { status: 201 });
}

function options(inputs: Record<string, string> = {}, more: Partial<RunnerOptions> = {}) {
  const env = { ...github.idTokenEnvironment, GITHUB_RUN_ID: String(3_000 + run), ...more.env };
  return { ...more, env, inputs: { ...api.inputs, token: '', ...inputs } };
}

async function following(given: RunnerOptions): Promise<Running & { id: string }> {
  const step = startAction(given);
  await vi.waitFor(() => expect(step.log()).toContain('::group::Job'), 20_000);
  return { ...step, id: api.jobIds().at(-1) as string };
}

const bearers = () => new Set(api.asked.map(({ bearer }) => bearer));

describe('a session', () => {
  test('is had for the OIDC token of the run, asked for this service; both are masked', async () => {
    const ran = await runAction(options({ wait: 'false', policy: 'pol-1' }));
    expect(ran.code).toBe(0);
    const [{ token, idToken, policy }] = sessions;
    expect(github.idTokens).toEqual([{ token: idToken, audience: api.url }]);
    expect([ran.masked, policy]).toEqual([[idToken, token], 'pol-1']);
    expect((await api.read(ran.outputs['job-id'])).createdBy).toBe('octo-lab/segmentation 0');
    const withoutMasks = ran.log.replaceAll(/^::add-mask::.*$/gm, '');
    expect([token, idToken].filter((secret) => withoutMasks.includes(secret))).toEqual([]);
  });

  test('may be of another audience', async () => {
    await runAction(options({ wait: 'false', audience: 'counterweight' }));
    expect(github.idTokens.map(({ audience }) => audience)).toEqual(['counterweight']);
  });

  test('is renewed before it ends, with an OIDC token of its own, while the step waits', async () => {
    lifeMs = 900;
    const step = await following(options());
    await vi.waitFor(() => expect(sessions.length).toBeGreaterThan(2), 20_000);
    lifeMs = 900_000;
    await api.succeed(step.id);
    const ran = await step.done;
    expect(ran.code).toBe(0);
    expect(new Set(github.idTokens.map(({ token }) => token)).size).toBe(sessions.length);
    const used = bearers();
    expect(sessions.slice(0, 2).every(({ token }) => used.has(token))).toBe(true);
    expect(api.asked.filter(({ path }) => path === '/v1/jobs')).toHaveLength(1);
  });

  test('that was revoked is renewed once, and the step goes on', async () => {
    const step = await following(options());
    await api.call('DELETE', `/v1/tokens/${sessions[0].tokenId}`);
    await vi.waitFor(() => expect(bearers()).toContain(sessions[1]?.token), 20_000);
    await api.succeed(step.id);
    const ran = await step.done;
    expect([ran.code, sessions.length]).toEqual([0, 2]);
  });

  test('that cannot be had again ends the step, which leaves its job to the one after it', async () => {
    const step = await following(options());
    const refusal = { status: 401, detail: 'No policy trusts this run.' };
    api.meddle((request) =>
      request.url.endsWith('/exchange') ? Response.json(refusal, { status: 401 }) : undefined,
    );
    await api.call('DELETE', `/v1/tokens/${sessions[0].tokenId}`);
    const ran = await step.done;
    expect([ran.code, JSON.parse(ran.state.jobs)]).toEqual([3, [step.id]]);
    expect(ran.annotations.at(-1)?.message).toBe('No policy trusts this run.');
  });

  test('whose answer is lost is asked for with another OIDC token', async () => {
    let lost = false;
    api.meddle(async (request) => {
      const answer = await exchange(request);
      if (answer === undefined || lost) return answer;
      lost = true;
      return new Response('the gateway lost it', { status: 502 });
    });
    const ran = await runAction(options({ wait: 'false' }));
    expect([ran.code, sessions.length, github.idTokens.length]).toEqual([0, 2, 2]);
  });

  test('of a pull request launches nothing, whatever the event is called', async () => {
    dryRunOnly = true;
    const before = api.jobIds().length;
    const ran = await runAction(options());
    expect([ran.code, ran.outputs.state, api.jobIds().length]).toEqual([0, 'dryRun', before]);
  });
});

describe('the comment on a pull request', () => {
  const commenting = (inputs: Record<string, string> = {}, job = 'launch') =>
    options(
      { ...githubInputs, ...inputs },
      {
        event: pullRequestEvent(),
        env: { GITHUB_API_URL: github.apiUrl, GITHUB_JOB: job },
      },
    );

  test('is made once, found behind others, and rewritten by later runs of the step', async () => {
    const others = Array.from({ length: 130 }, (_, k) => ({ id: k + 1, body: `remark ${k}` }));
    github.comments.push(...others);
    const first = await runAction(commenting());
    expect([first.code, github.written]).toEqual([0, [`POST ${issues}/7/comments`]]);
    const { id, body } = github.comments[130];
    expect(body).toMatch(/^<!-- counterweight [0-9a-f]{16} -->\n## Counterweight: dryRun\n/);
    expect(body).toContain('What changed in the draws');
    run += 1;
    await runAction(commenting({ 'compare-to': 'phantom@production' }));
    expect(github.written.at(-1)).toBe(`PATCH ${issues}/comments/${id}`);
    expect(github.comments).toHaveLength(131);
    expect(github.comments[130].body).toContain('against phantom&#64;production:0');
  });

  test('is another one for another job of the workflow', async () => {
    await runAction(commenting());
    await runAction(commenting({}, 'nightly'));
    expect(github.comments.map(({ id }) => id)).toEqual([1, 2]);
  });

  test('that may not be written is a warning: the step did what it should', async () => {
    github.refuses = 403;
    const ran = await runAction(commenting());
    expect([ran.code, github.comments]).toEqual([0, []]);
    expect(ran.annotations).toEqual([
      {
        kind: 'warning',
        title: null,
        message: expect.stringContaining('permissions: pull-requests: write'),
      },
    ]);
  });

  test('is not looked for where the run is of no pull request', async () => {
    const given = commenting({ wait: 'false' });
    const ran = await runAction({ ...given, event: undefined });
    expect([ran.code, github.written]).toEqual([0, []]);
    expect(ran.annotations.map(({ kind }) => kind)).toEqual(['notice']);
  });
});

const issues = '/repos/octo-lab/segmentation/issues';
