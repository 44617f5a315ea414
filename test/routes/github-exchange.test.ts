// Exchanging a token of GitHub: what holds, and what is refused when one thing of it is changed.

import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { JWTPayload } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { sendingOf } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { type GithubTest, openGithubTest } from '../support/github.ts';
import {
  openGithubIssuer,
  pullRequest,
  runClaims,
  type TestIssuer,
} from '../support/github-issuer.ts';

let api: GithubTest;
let other: TestIssuer;
let policy: { id: string };
beforeAll(async () => {
  api = await openGithubTest();
  other = await openGithubIssuer();
  api.deps.githubIssuers?.push({ issuer: other.issuer, jwks: other.jwks });
  policy = await api.policy();
});
afterAll(async () => {
  other.close();
  await api.closeAll();
});

const claims = (changed?: JWTPayload) => runClaims(api.deps.now(), changed);
const seconds = () => Math.floor(api.deps.now().getTime() / 1000);
const sessions = async () => {
  const [{ count }] = await rows<{ count: number }>(
    api.database.orm,
    sql`select count(*)::int as count from github_sessions`,
  );
  return count;
};

describe('the token of a run that a policy trusts', () => {
  test('is exchanged for a session of fifteen minutes that works', async () => {
    const at = api.deps.now();
    const { status, body } = await api.exchange();
    const actor = 'github:octo-lab/segmentation@refs/heads/main (run 123/1, by octocat)';
    expect([status, body]).toEqual([
      201,
      {
        token: expect.stringMatching(/^cw_[0-9a-z]{52}$/),
        expiresAt: new Date(at.getTime() + 15 * 60_000).toISOString(),
        workspace: 'default',
        actor,
        dryRunOnly: false,
        dataset: 'phantom',
        aliases: ['production'],
        targets: null,
        policy: policy.id,
      },
    ]);
    const session = sendingOf(api.app, body.token);
    expect((await session.call('GET', '/v1/datasets/phantom')).status).toBe(200);
  });

  test('leaves every claim in the audit entry, and the secret nowhere', async () => {
    const said = claims({ environment: 'gpu', check_run_id: '77' });
    const token = await api.issuer.sign(said);
    const answer = await api.app.request('/v1/github/exchange', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const session = (await answer.json()) as { token: string; actor: string };
    const { items } = await must(api, 200, 'GET', '/v1/audit?action=github.session.created');
    const { ref_protected: _, ...kept } = said;
    expect(items.at(-1)).toMatchObject({
      actor: session.actor,
      detail: {
        policy: policy.id,
        dryRunOnly: false,
        claims: { ...kept, iss: api.issuer.issuer },
      },
    });
    const stored = await rows(api.database.orm, sql`select * from github_sessions`);
    expect(JSON.stringify([stored, items, api.logged])).not.toContain(session.token);
    expect(JSON.stringify([stored, items, api.logged])).not.toContain(token);
  });

  test.each([{}, { event_name: 'pull_request_target', ref: 'refs/heads/main' }])(
    'of a pull request gets dry runs only (%j)',
    async (changed) => {
      const made = await api.policy({
        refs: ['refs/pull/*', 'refs/heads/main'],
        events: ['pull_request', 'pull_request_target'],
      });
      const { status, body } = await api.exchange({ ...pullRequest, ...changed });
      expect([status, body.dryRunOnly, body.policy]).toEqual([201, true, made.id]);
      await must(api, 200, 'DELETE', `/v1/github/policies/${made.id}`);
    },
  );

  test.each([{ head_repository: 'eve/segmentation' }, { head_repository_id: '666' }])(
    'of a fork is never trusted (%j)',
    async (changed) => {
      const made = await api.policy({ refs: ['refs/pull/*'], events: ['pull_request'] });
      const { status, body } = await api.exchange({ ...pullRequest, ...changed });
      expect([status, body.detail]).toEqual([403, expect.stringContaining('forks')]);
      expect((await api.exchange(pullRequest)).status).toBe(201);
      await must(api, 200, 'DELETE', `/v1/github/policies/${made.id}`);
    },
  );
});

describe('a token counts once', () => {
  test('when it is sent again, also after its session is over', async () => {
    const token = await api.issuer.sign(claims());
    expect((await api.exchangeToken(token)).status).toBe(201);
    const again = await api.exchangeToken(token);
    expect([again.status, again.body.detail]).toEqual([
      401,
      expect.stringContaining('was exchanged before'),
    ]);
    api.moveClock(329_000);
    expect((await api.exchangeToken(token)).body.detail).toContain('was exchanged before');
  });

  test('when it is sent many times at once', async () => {
    const token = await api.issuer.sign(claims());
    const before = await sessions();
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.exchangeToken(token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(401)]);
    expect(await sessions()).toBe(before + 1);
  });

  test('and another that has the same number counts at another issuer', async () => {
    const made = await api.policy({ issuer: other.issuer });
    const jti = randomUUID();
    expect((await api.exchange({ jti })).status).toBe(201);
    expect((await api.exchangeToken(await other.sign(claims({ jti })))).status).toBe(201);
    await must(api, 200, 'DELETE', `/v1/github/policies/${made.id}`);
  });

  test('and is forgotten only when it can be used no more', async () => {
    const jti = randomUUID();
    const kept = async () =>
      await rows(api.database.orm, sql`select id from github_sessions where jti = ${jti}`);
    await api.exchange({ jti, exp: seconds() + 3_000 });
    api.moveClock(3_030_000);
    await api.exchange();
    expect(await kept()).toHaveLength(1);
    api.moveClock(2_000);
    await api.exchange();
    expect(await kept()).toHaveLength(0);
  });
});

describe('a run that no policy trusts', () => {
  const refusal = async (changed?: JWTPayload, body?: object) => {
    const { status, body: answer } = await api.exchange(changed, body);
    expect(status).toBe(403);
    return answer.detail as string;
  };

  test('is told what it said itself, the same wherever the trust ends', async () => {
    const detail = await refusal({ ref: 'refs/heads/try' });
    for (const part of [
      'octo-lab/segmentation',
      '"424242"',
      '"refs/heads/try"',
      'environment null',
    ]) {
      expect(detail).toContain(part);
    }
    expect(detail).not.toContain(policy.id);
    const shape = (text: string) => text.replaceAll(/"[^"]*"/g, '""');
    expect(shape(await refusal({ repository_id: '5' }))).toBe(shape(detail));
    expect(shape(await refusal(undefined, { policy: 'guessed' }))).toBe(shape(detail));
  });

  test('is none of the rules of environment and workflow away from it', async () => {
    await must(api, 200, 'DELETE', `/v1/github/policies/${policy.id}`);
    await refusal();
    const narrow = await api.policy({
      environments: ['gpu'],
      workflow: '.github/workflows/train.yml@refs/heads/main',
    });
    const right = { environment: 'gpu' };
    expect((await api.exchange(right)).body.policy).toBe(narrow.id);
    await refusal();
    await refusal({ environment: 'gpu2' });
    const elsewhere = 'octo-lab/segmentation/.github/workflows/other.yml@refs/heads/main';
    await refusal({ ...right, workflow_ref: elsewhere });
    await must(api, 200, 'DELETE', `/v1/github/policies/${narrow.id}`);
    policy = await api.policy();
  });
});

test('where several policies trust a run, it names the one it means; none is mixed', async () => {
  const second = await api.policy({ aliases: ['candidate'], targets: ['local'] });
  const { status, body } = await api.exchange();
  expect([status, body.detail]).toEqual([409, expect.stringContaining('send policy')]);
  expect(body.detail).not.toMatch(new RegExp(`${policy.id}|${second.id}`));
  const named = await api.exchange(undefined, { policy: second.id });
  expect(named.body).toMatchObject({ policy: second.id, aliases: ['candidate'] });
  await must(api, 200, 'DELETE', `/v1/github/policies/${second.id}`);
});

describe('the body', () => {
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const sent = { 'content-type': 'application/json', ...headers };
    const request = { method: 'POST', headers: sent, body };
    return await api.app.request('/v1/github/exchange', request);
  };

  test('is refused over its size, whatever it holds, and a token over its own', async () => {
    const long = (count: number) => JSON.stringify({ token: 'x'.repeat(count) });
    expect((await post(long(8_192))).status).toBe(401);
    expect((await post(long(8_193))).status).toBe(422);
    const large = await post(long(16_384));
    expect(large.status).toBe(413);
    expect(large.headers.get('content-type')).toBe('application/problem+json');
  });

  test('needs a token, and no key that is not known', async () => {
    for (const body of [{}, { token: 7 }, { token: '' }, { token: 'x', workspace: 'y' }]) {
      expect((await post(JSON.stringify(body))).status).toBe(422);
    }
    expect((await post('{"token": ')).status).toBe(400);
    expect((await post('{"token": "a\\u0000b"}')).status).toBe(422);
  });
});

describe('the audience', () => {
  afterEach(() => {
    api.deps.publicUrl = 'http://127.0.0.1:8787';
    api.deps.githubAudience = undefined;
  });

  test('is what the deployment says, else its public address without a slash at its end', async () => {
    api.deps.publicUrl = 'https://cw.example/';
    expect((await api.exchange({ aud: 'https://cw.example' })).status).toBe(201);
    expect((await api.exchange({ aud: 'https://cw.example/' })).status).toBe(401);
    api.deps.githubAudience = 'counterweight';
    expect((await api.exchange({ aud: 'counterweight' })).status).toBe(201);
    expect((await api.exchange({ aud: 'https://cw.example' })).status).toBe(401);
  });

  test('where there is none, nothing is exchanged', async () => {
    api.deps.publicUrl = '';
    const { status, body } = await api.exchange({ aud: '' });
    expect([status, body.detail]).toEqual([503, expect.stringContaining('CW_PUBLIC_URL')]);
  });
});
