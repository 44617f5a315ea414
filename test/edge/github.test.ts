// Tokens of GitHub inside workerd: the keys of an issuer are fetched there, kept from one request
// to the next, and used by several at once.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Neon, startNeon } from '../stacks/stack.ts';
import { openGithubIssuer, runClaims, type TestIssuer } from '../support/github-issuer.ts';
import { noPostgres } from '../support/postgres.ts';
import { startWorker } from '../support/worker.ts';

let worker: Awaited<ReturnType<typeof startWorker>>;
let issuer: TestIssuer;
let neon: Neon;
beforeAll(async () => {
  if (noPostgres()) return;
  issuer = await openGithubIssuer();
  neon = await startNeon();
  worker = await startWorker({
    DATABASE_URL: neon.postgres.urls.service,
    CW_NEON_PROXY: neon.bridge.proxy,
    CW_PUBLIC_URL: 'https://cw.example',
    CW_GITHUB_ISSUERS: issuer.issuer,
  });
});
afterAll(async () => {
  issuer?.close();
  await worker?.stop();
  await neon?.stop();
});

async function detailOf(token: string): Promise<string> {
  const response = await fetch(`${worker.url}/v1/github/exchange`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  return ((await response.json()) as { detail: string }).detail;
}

test.skipIf(noPostgres())(
  'signatures are checked there, by several requests at once, with keys fetched before',
  async () => {
    const wrongAudience = 'its audience is "http://127.0.0.1:8787"';
    const signed = () => issuer.sign(runClaims(new Date()));
    expect(await detailOf(await signed())).toContain(wrongAudience);
    expect(issuer.fetched).toBe(1);
    const tokens = await Promise.all(Array.from({ length: 8 }, signed));
    const details = await Promise.all(tokens.map(detailOf));
    expect(details).toEqual(Array(8).fill(expect.stringContaining(wrongAudience)));
    const [header, payload, signature] = (await signed()).split('.');
    const turned = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect(await detailOf([header, payload, turned].join('.'))).toContain(
      'signature is not by a key',
    );
    expect(issuer.fetched).toBe(1);
  },
);
