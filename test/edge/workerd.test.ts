// The app inside workerd, as Cloudflare runs it. Without a database it still starts and describes
// itself; /health says plainly that the database does not answer.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, test } from 'vitest';

let miniflare: Miniflare;

beforeAll(async () => {
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
  const script = bundled.outputFiles[0].text;
  expect(script).not.toMatch(/from\s*"node:/);
  miniflare = new Miniflare({
    modules: true,
    script,
    compatibilityDate: '2026-04-01',
    bindings: { CW_VERSION: '9.9.9' },
  });
  await miniflare.ready;
});

afterAll(async () => {
  await miniflare?.dispose();
});

test('answers the OpenAPI document inside workerd, without any node compatibility flag', async () => {
  const response = await miniflare.dispatchFetch('http://counterweight/openapi.json');
  expect(response.status).toBe(200);
  const document = (await response.json()) as { info: { version: string }; paths: object };
  expect(document.info.version).toBe('9.9.9');
  expect(Object.keys(document.paths)).toContain('/v1/trainer/reports');
});

test('says at /health that the database does not answer, as a problem document', async () => {
  const response = await miniflare.dispatchFetch('http://counterweight/health');
  expect(response.status).toBe(503);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(await response.json()).toMatchObject({
    status: 503,
    title: 'Not available at the moment',
    detail: 'The database does not answer; try again in a moment.',
  });
});
