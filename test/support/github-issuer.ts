// GitHub's token issuer on the loopback address: real keys, real signatures, keys that rotate and
// an address that can be away.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { GithubIssuer } from '../../api/contract/github.ts';

export type SigningKey = { kid: string; privateKey: CryptoKey; publicKey: CryptoKey };

export type TestIssuer = GithubIssuer & {
  key: SigningKey;
  /** How often the keys were asked for. */
  fetched: number;
  /** Answers this status instead of the keys; 200 again ends it. */
  status: number;
  /** What is served: the newest key and those before it. */
  keys: JWK[];
  /** Signs with the newest key. */
  sign: (claims: JWTPayload, header?: Record<string, unknown>) => Promise<string>;
  /** Makes a new key and serves it alone. */
  rotate: () => Promise<void>;
  close: () => void;
};

export async function newSigningKey(kid: string): Promise<SigningKey> {
  return { kid, ...(await generateKeyPair('RS256', { extractable: true })) };
}

export async function signedBy(
  key: SigningKey,
  claims: JWTPayload,
  header: Record<string, unknown> = {},
): Promise<string> {
  const protectedHeader = { alg: 'RS256', typ: 'JWT', kid: key.kid, ...header };
  return await new SignJWT(claims).setProtectedHeader(protectedHeader).sign(key.privateKey);
}

async function publicJwk({ kid, publicKey }: SigningKey): Promise<JWK> {
  return { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' };
}

export async function openGithubIssuer(): Promise<TestIssuer> {
  const key = await newSigningKey('first');
  const server = createServer((request, response) => {
    if (request.url !== '/.well-known/jwks') {
      response.writeHead(404).end();
      return;
    }
    one.fetched++;
    response.writeHead(one.status, { 'content-type': 'application/json' });
    response.end(one.status === 200 ? JSON.stringify({ keys: one.keys }) : '{}');
  });
  const issuer = await listening(server);
  const one: TestIssuer = {
    issuer,
    jwks: `${issuer}/.well-known/jwks`,
    key,
    fetched: 0,
    status: 200,
    keys: [await publicJwk(key)],
    sign: (claims, header) => signedBy(one.key, { iss: issuer, ...claims }, header),
    rotate: async () => {
      one.key = await newSigningKey(`after-${one.key.kid}`);
      one.keys = [await publicJwk(one.key)];
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return one;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The claims of a push to main, as GitHub writes them; `jti` differs every time. */
export function runClaims(now: Date, changed: JWTPayload = {}): JWTPayload {
  const at = Math.floor(now.getTime() / 1000);
  const repository = 'octo-lab/segmentation';
  const ref = 'refs/heads/main';
  return {
    aud: 'http://127.0.0.1:8787',
    sub: `repo:${repository}:ref:${ref}`,
    jti: crypto.randomUUID(),
    iat: at,
    nbf: at - 600,
    exp: at + 300,
    repository,
    repository_id: '424242',
    repository_owner: 'octo-lab',
    repository_owner_id: '2020',
    repository_visibility: 'private',
    ref,
    ref_type: 'branch',
    ref_protected: 'true',
    sha: 'c040cae0f0dc81641728557b80f09cfa23b83fe5',
    event_name: 'push',
    head_ref: '',
    base_ref: '',
    workflow: 'train',
    workflow_ref: `${repository}/.github/workflows/train.yml@${ref}`,
    job_workflow_ref: `${repository}/.github/workflows/train.yml@${ref}`,
    run_id: '123',
    run_number: '7',
    run_attempt: '1',
    actor: 'octocat',
    actor_id: '1001',
    runner_environment: 'github-hosted',
    ...changed,
  };
}

/** What makes those claims the ones of a pull request. */
export const pullRequest = {
  sub: 'repo:octo-lab/segmentation:pull_request',
  ref: 'refs/pull/7/merge',
  event_name: 'pull_request',
  head_ref: 'try-it',
  base_ref: 'main',
  workflow_ref: 'octo-lab/segmentation/.github/workflows/train.yml@refs/pull/7/merge',
};
