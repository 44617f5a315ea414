// Headers of every answer, the time that a request has, and faults of the database.

import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createApp } from '../../api/app.ts';
import { databaseFault } from '../../api/http/database-faults.ts';
import { readOrigins } from '../../api/http/headers.ts';
import { requestLimits } from '../../api/http/limits.ts';
import type { Database } from '../../api/store/database.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot } from '../support/builders.ts';

let api: TestApp;
let snapshot: string;
beforeAll(async () => {
  api = await openTestApp();
  ({ digest: snapshot } = (await frozenSnapshot(api)).snapshot);
});
afterEach(() => {
  vi.useRealTimers();
});

const headersOf = async (path: string) => (await api.send('GET', path)).headers;

test.each(['/health', '/openapi.json', '/docs', '/v1/datasets', '/v1/nothing', '/nothing'])(
  '%s is neither framed nor sniffed, says nothing of its reader, and runs nothing',
  async (path) => {
    const headers = await headersOf(path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'/);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('strict-transport-security')).toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
  },
);

test('what never changes may be kept, by its digest', async () => {
  const headers = await headersOf(`/v1/snapshots/${snapshot}`);
  expect(headers.get('cache-control')).toContain('immutable');
  expect(headers.get('etag')).toContain(snapshot);
});

test('the style of the reference is the one that its policy lets through, and no script is', async () => {
  const response = await api.send('GET', '/docs');
  const policy = response.headers.get('content-security-policy') ?? '';
  const nonce = /style-src 'nonce-([^']+)'/.exec(policy)?.[1];
  expect(await response.text()).toContain(`<style nonce="${nonce}">`);
  expect(policy).not.toContain('script-src');
});

test('behind https a browser is told to stay there', async () => {
  const app = createApp({ ...api.deps, publicUrl: 'https://lab.example' });
  const { headers } = await app.request('/health');
  expect(headers.get('strict-transport-security')).toBe('max-age=63072000');
});

describe('other sites', () => {
  const from = (origin: string, method = 'GET', origins = ['https://lab.example']) =>
    createApp({ ...api.deps, corsOrigins: origins }).request('/health', {
      method,
      headers: { origin, 'access-control-request-method': 'GET' },
    });

  test('may read where they are named, and by GET only', async () => {
    const { headers } = await from('https://lab.example');
    expect(headers.get('access-control-allow-origin')).toBe('https://lab.example');
    expect(headers.get('vary')).toContain('Origin');
    const asked = await from('https://lab.example', 'OPTIONS');
    expect(asked.headers.get('access-control-allow-methods')).toBe('GET');
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull();
  });

  test.each(['https://evil.example', 'https://lab.example.evil', 'null', 'http://lab.example'])(
    '%s may not',
    async (origin) => {
      expect((await from(origin)).headers.get('access-control-allow-origin')).toBeNull();
    },
  );

  test('are read from the environment exactly', () => {
    expect(readOrigins('https://a.b, http://c:8080')).toEqual(['https://a.b', 'http://c:8080']);
    expect(readOrigins('')).toEqual([]);
    for (const text of ['*', 'a.b', 'https://a.b/', 'https://a.b/path']) {
      expect(() => readOrigins(text)).toThrow('CW_CORS_ORIGINS');
    }
  });
});

test('a request that takes too long is answered that it may still be done', async () => {
  vi.useFakeTimers();
  const never = { execute: () => new Promise(() => {}) };
  const database = { ...api.database, orm: never } as unknown as Database;
  const answer = createApp({ ...api.deps, database }).request('/health');
  await vi.advanceTimersByTimeAsync(requestLimits.seconds * 1000);
  const response = await answer;
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '10']);
  expect((await response.json()).detail).toContain('may still be done');
});

describe('an error of the driver', () => {
  const driver = (code: string, message = 'x') => Object.assign(new Error(message), { code });
  test.each([
    ['57014', 10],
    ['57P01', 2],
    ['08006', 2],
    ['53300', 2],
    ['ECONNREFUSED', 2],
  ])('%s within another is no fault of the request', (code, retryAfterSeconds) => {
    const wrapped = new Error('Failed query: select secret', { cause: driver(code) });
    expect(databaseFault(wrapped)).toMatchObject({ kind: 'unavailable', retryAfterSeconds });
    expect(databaseFault(wrapped)?.detail).not.toContain('select');
  });

  test('of another kind is none of these', () => {
    expect(databaseFault(driver('23505'))).toBeUndefined();
    expect(databaseFault(new Error('x'))).toBeUndefined();
    expect(databaseFault('x')).toBeUndefined();
  });
});
