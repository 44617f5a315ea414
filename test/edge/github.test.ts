// Tokens of GitHub inside workerd: the keys of an issuer are fetched there, kept from one request
// to the next, and used by several at once. No database is needed to see a signature checked.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGithubIssuer, runClaims, type TestIssuer } from '../support/github-issuer.ts';

let miniflare: Miniflare;
let issuer: TestIssuer;
beforeAll(async () => {
  issuer = await openGithubIssuer();
  const bundled = await build({
    entryPoints: [fileURLToPath(new URL('../../api/worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    logLevel: 'error',
  });
  miniflare = new Miniflare({
    modules: true,
    script: bundled.outputFiles[0].text,
    compatibilityDate: '2026-04-01',
    bindings: { CW_PUBLIC_URL: 'https://cw.example', CW_GITHUB_ISSUERS: issuer.issuer },
  });
  await miniflare.ready;
});
afterAll(async () => {
  issuer?.close();
  await miniflare?.dispose();
});

async function detailOf(token: string): Promise<string> {
  const response = await miniflare.dispatchFetch('http://counterweight/v1/github/exchange', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  return ((await response.json()) as { detail: string }).detail;
}

test('signatures are checked there, by several requests at once, with keys fetched before', async () => {
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
});
