// infra/cloudflare/wrangler.jsonc: it parses, names what is there, and what it deploys fits.

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readTargets } from '../../api/env.ts';
import { variablesIn } from '../docs/topics.ts';
import { bundleOf } from '../support/worker.ts';

const folder = 'infra/cloudflare';
const text = readFileSync(`${folder}/wrangler.jsonc`, 'utf8');
/** Comments stand on lines of their own and never inside a text. */
const config = JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, ''));

const entry = resolve(folder, config.main);

test('its entry is the Worker, with a tick every minute and a log', () => {
  expect([entry, existsSync(entry)]).toEqual([resolve('api/worker.ts'), true]);
  expect(config.triggers.crons).toEqual(['* * * * *']);
  expect(config.observability).toEqual({ enabled: true });
  expect(config.compatibility_flags).toBeUndefined();
});

test('its variables are some that the Worker reads, and its targets are sound', () => {
  const read = variablesIn({ path: 'api/worker.ts', text: readFileSync(entry, 'utf8') });
  const named = [...Object.keys(config.vars), ...(text.match(/(?<=\/\/ {3})[A-Z_]{6,}/g) ?? [])];
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !read.includes(name))).toEqual([]);
  expect(readTargets(config.vars.CW_TARGETS, () => '')).toEqual([]);
  expect(config.vars.CW_PUBLIC_URL).toMatch(/^https:\/\//);
});

test('its counters of requests are the bindings that the Worker looks for', () => {
  const read = variablesIn({ path: 'api/worker.ts', text: readFileSync(entry, 'utf8') });
  const counters: { name: string; namespace_id: string; simple: { period: number } }[] =
    config.ratelimits;
  const names = counters.map(({ name }) => name);
  expect(names.sort()).toEqual(['CW_RATE_LIMIT', 'CW_RATE_LIMIT_ADDRESS', 'CW_RATE_LIMIT_TRAINER']);
  expect(names.filter((name) => !read.includes(name))).toEqual([]);
  expect(new Set(counters.map((one) => one.namespace_id)).size).toBe(counters.length);
  // Cloudflare knows ten seconds and sixty; Retry-After says ten.
  expect(counters.map(({ simple }) => simple.period)).toEqual([10, 10, 10]);
});

test('no secret stands in it', () => {
  const secrets = ['DATABASE_URL', 'CW_ADMIN_TOKEN', 'CW_AUDIT_SIGNING_KEY'];
  expect(Object.keys(config.vars).filter((name) => secrets.includes(name))).toEqual([]);
});

/** What Cloudflare takes of a Worker, zipped: on the free plan. Paid plans take 10 MB. */
const mostBytes = 3_000_000;

test('what is deployed is under the size that Cloudflare takes on any plan', async () => {
  const zipped = gzipSync(await bundleOf(entry));
  expect(zipped.byteLength).toBeGreaterThan(100_000);
  expect(zipped.byteLength).toBeLessThan(mostBytes);
});
