// Tokens of GitHub with one thing changed: every claim, the signature, the header. The same token
// unchanged is exchanged beside each, so that no refusal comes from something else.

import { sql } from 'drizzle-orm';
import { exportSPKI, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { type GithubTest, openGithubTest } from '../support/github.ts';
import {
  newSigningKey,
  openGithubIssuer,
  runClaims,
  signedBy,
  type TestIssuer,
} from '../support/github-issuer.ts';

let api: GithubTest;
let other: TestIssuer;
beforeAll(async () => {
  api = await openGithubTest();
  other = await openGithubIssuer();
  api.deps.githubIssuers?.push({ issuer: other.issuer, jwks: other.jwks });
  await api.policy();
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
