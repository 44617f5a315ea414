// Exchanging a token of GitHub: what holds, and what is refused when one thing of it is changed.

import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { exportSPKI, type JWTPayload, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { sendingOf } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { type GithubTest, openGithubTest, policyBody } from '../support/github.ts';
import {
  newSigningKey,
  openGithubIssuer,
  pullRequest,
  runClaims,
  signedBy,
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

/** Of a claim: what no token of GitHub says, and what one may say that is not trusted here. */
const text = [undefined, null, 7, true, [], {}, ''];
const id = [...text, '0', '-1', '1e3', ' 424242', '424242 ', '0424242'];
const tampered: [claim: string, unread: unknown[], untrusted?: unknown[]][] = [
  ['iss', [...text, 'https://token.actions.githubusercontent.com.evil.example', 'other']],
  ['aud', [...text, 'https://github.com/octo-lab', ['http://127.0.0.1:8787'], ['a', 'b']]],
  ['sub', text],
  ['jti', [...text, 'x'.repeat(256)]],
  ['exp', [undefined, null, '9999999999', -1, 1, true]],
  ['iat', [undefined, null, '1', true, 1]],
  ['nbf', [null, '1', true, 99_999_999_999]],
  ['repository', [...text, 'octo-lab', 'a/b/c', 'octo\nlab/x']],
  ['repository_id', id, ['424243', '4242420']],
  ['repository_owner', text],
  ['repository_owner_id', id, ['2021']],
  ['ref', [...text, 'refs/heads/main\u0000'], ['refs/heads/mainly', 'refs/heads/', 'main']],
  ['ref_type', text],
  ['event_name', text, ['issue_comment', 'workflow_run', 'PUSH', 'pull_request', 'release']],
  ['workflow_ref', text],
  ['run_id', id],
  ['run_attempt', id],
  ['actor', text],
  ['actor_id', id],
  ['environment', [null, 7, [], {}]],
  ['job_workflow_ref', [null, 7]],
  ['head_ref', [null, 7]],
  ['base_ref', [null, 7]],
];

describe('a token of which one claim is another', () => {
  test.each(tampered)('%s is refused, whatever it is', async (claim, unread, untrusted = []) => {
    const before = await sessions();
    expect((await api.exchange()).status).toBe(201); // the same token, unchanged
    const answers = [...unread, ...untrusted].map((value) => api.exchange({ [claim]: value }));
    const kinds = (await Promise.all(answers)).map(({ status, body }) => [status, body.type]);
    expect(kinds).toEqual([
      ...unread.map(() => [401, '/docs#problem-unauthenticated']),
      ...untrusted.map(() => [403, '/docs#problem-forbidden']),
    ]);
    expect(await sessions()).toBe(before + 1);
  });

  test('says which one it is, and what was asked for', async () => {
    const said = async (changed: JWTPayload) => (await api.exchange(changed)).body.detail;
    expect(await said({ aud: 'https://github.com/octo-lab' })).toContain(
      'its audience is "https://github.com/octo-lab", and this service asks for "http://127.0.0.1:8787"',
    );
    expect(await said({ iss: 'https://evil.example' })).toContain('"https://evil.example"');
    expect(await said({ exp: seconds() - 60 })).toContain('it expired at 2026-');
    expect(await said({ iat: seconds() - 7_200 })).toContain('issued too long ago');
    expect(await said({ nbf: seconds() + 60 })).toContain('not valid yet (nbf');
    expect(await said({ iat: seconds() + 60 })).toContain('not valid yet (iat');
    expect(await said({ jti: undefined })).toContain('no claim jti');
    expect(await said({ run_id: 123 as never })).toContain('claim run_id');
  });

  test('clocks may differ by half a minute and no more', async () => {
    const status = async (changed: JWTPayload) => (await api.exchange(changed)).status;
    expect(await status({ exp: seconds() - 29 })).toBe(201);
    expect(await status({ exp: seconds() - 30 })).toBe(401);
    expect(await status({ nbf: seconds() + 30 })).toBe(201);
    expect(await status({ nbf: seconds() + 31 })).toBe(401);
    expect(await status({ iat: seconds() + 30 })).toBe(201);
    expect(await status({ iat: seconds() + 31 })).toBe(401);
  });
});

describe('a token that is not signed as it should be', () => {
  const refuse = async (token: string, words: string) => {
    const { status, body } = await api.exchangeToken(token);
    expect([status, body.detail]).toEqual([401, expect.stringContaining(words)]);
  };
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const unsigned = (header: object) =>
    `${encoded(header)}.${encoded(claims({ iss: api.issuer.issuer }))}`;

  test('without a signature', async () => {
    for (const alg of ['none', 'None', 'NONE', 'RS256']) {
      const { kid } = api.issuer.key;
      await refuse(`${unsigned({ alg, typ: 'JWT', kid })}.`, 'not accepted');
    }
  });

  test('with the public key as the secret of HS256', async () => {
    const { kid, publicKey } = api.issuer.key;
    const secret = new TextEncoder().encode(await exportSPKI(publicKey));
    const token = await new SignJWT(claims({ iss: api.issuer.issuer }))
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid })
      .sign(secret);
    await refuse(token, 'not signed with RS256');
  });

  test('by another key under the same name, by an unknown one, by one without a name', async () => {
    const said = claims({ iss: api.issuer.issuer });
    const mine = await newSigningKey(api.issuer.key.kid);
    await refuse(await signedBy(mine, said), 'not by a key of its issuer');
    await refuse(await signedBy({ ...mine, kid: 'mine' }, said), 'not by a key of its issuer');
    await refuse(await api.issuer.sign(claims(), { kid: undefined }), 'names no key');
  });

  test('that says where its keys are, or brings its own', async () => {
    const mine = await newSigningKey('mine');
    const jwk = await crypto.subtle.exportKey('jwk', mine.publicKey);
    const said = claims({ iss: api.issuer.issuer });
    for (const header of [{ jwk }, { jku: other.jwks }, { x5u: other.jwks }]) {
      await refuse(await signedBy(mine, said, header), 'not by a key of its issuer');
    }
    expect(other.fetched).toBe(0);
  });

  test('of another type, or whose header asks for what is not understood', async () => {
    await refuse(await api.issuer.sign(claims(), { typ: 'at+jwt' }), 'typ');
    await refuse(await api.issuer.sign(claims(), { typ: undefined }), 'typ');
    await refuse(
      (await api.issuer.sign(claims())).replace(
        /^[^.]+/,
        encoded({ alg: 'RS256', typ: 'JWT', kid: api.issuer.key.kid, crit: ['x'], x: 1 }),
      ),
      'not accepted',
    );
  });

  test('with a claim that was changed after signing', async () => {
    const [header, , signature] = (await api.issuer.sign(claims())).split('.');
    const payload = encoded(claims({ iss: api.issuer.issuer, actor: 'eve' }));
    await refuse([header, payload, signature].join('.'), 'not by a key of its issuer');
  });

  test('that is none', async () => {
    for (const token of [
      'x',
      '..',
      'a.b.c',
      `${'{'}.e30.x`,
      'e30.e30.',
      'e30.W10.e30',
      '😀.😀.😀',
    ]) {
      await refuse(token, 'not accepted');
    }
  });

  test('by another issuer of the deployment, in the name of this one', async () => {
    await refuse(await signedBy(other.key, claims({ iss: api.issuer.issuer })), 'not by a key');
    const { status, body } = await api.exchangeToken(await other.sign(claims()));
    // Properly signed, by a server on which the same numbers are another repository.
    expect([status, body.detail]).toEqual([403, expect.stringContaining('No policy')]);
  });
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

describe('the keys of an issuer', () => {
  let own: TestIssuer;
  let wall: number;
  beforeAll(async () => {
    own = await openGithubIssuer();
    api.deps.githubIssuers?.push({ issuer: own.issuer, jwks: own.jwks });
    await api.policy({ ...policyBody, issuer: own.issuer });
    wall = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: wall }); // jose keeps keys by this clock
  });
  afterAll(() => {
    vi.useRealTimers();
    own.close();
  });
  const later = (milliseconds: number) => {
    wall += milliseconds;
    vi.setSystemTime(wall);
    api.moveClock(milliseconds);
  };
  const exchange = async () => await api.exchangeToken(await own.sign(claims()));

  test('that are away are no fault of the token, and are not asked for without a pause', async () => {
    own.status = 500;
    const response = await api.app.request('/v1/github/exchange', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: await own.sign(claims()) }),
    });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(((await response.json()) as { detail: string }).detail).toContain(own.issuer);
    own.status = 200;
    const asked = own.fetched;
    expect((await exchange()).status).toBe(503);
    expect(own.fetched).toBe(asked);
    later(5_000);
    expect((await exchange()).status).toBe(201);
    expect(own.fetched).toBe(asked + 1);
  });

  test('are fetched once for many tokens, and unknown names cannot make it fetch again and again', async () => {
    const asked = own.fetched;
    for (let k = 0; k < 5; k++) expect((await exchange()).status).toBe(201);
    for (let k = 0; k < 5; k++) {
      const unknown = await own.sign(claims(), { kid: `unknown-${k}` });
      expect((await api.exchangeToken(unknown)).status).toBe(401);
    }
    expect(own.fetched).toBe(asked);
  });

  test('rotate: a new one is found, an old one holds no more', async () => {
    later(31_000);
    const old = own.key;
    await own.rotate();
    expect((await exchange()).status).toBe(201);
    const { status } = await api.exchangeToken(await signedBy(old, claims({ iss: own.issuer })));
    expect(status).toBe(401);
  });

  test('that are no keys are as if they were away', async () => {
    later(700_000);
    own.keys = 'none' as never;
    expect((await exchange()).status).toBe(503);
  });

  test('that nobody serves are away', async () => {
    own.close();
    later(6_000);
    const { status, body } = await exchange();
    expect([status, body.detail]).toEqual([503, expect.stringContaining('try again soon')]);
  });
});
