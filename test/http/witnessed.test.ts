// What a witness learns of requests: routes as OpenAPI writes them, and nothing that people sent.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { Answered } from '../../api/deps.ts';
import { openTestApp, type TestApp } from '../support/app.ts';

let api: TestApp;
let seen: (Answered & { runtime: unknown })[];
let underWay = 0;
const send = (path: string, init: RequestInit = {}, runtime: unknown = {}) =>
  app.request(path, init, runtime as object);
let app: TestApp['app'];

beforeAll(async () => {
  api = await openTestApp();
  app = createApp({
    ...api.deps,
    witness: (runtime) => {
      underWay += 1;
      return (answered) => {
        underWay -= 1;
        seen.push({ ...answered, runtime });
      };
    },
  });
});
beforeEach(() => {
  seen = [];
});
afterAll(() => api.database.close());

const authorization = () => `Bearer ${api.token}`;

test('a request is told by its route, with the id of its token and not the token', async () => {
  const headers = { authorization: authorization(), 'x-request-id': 'r1' };
  await send('/v1/datasets/secret-name?cursor=secret', { headers }, { of: 'runtime' });
  expect(seen).toEqual([
    {
      requestId: 'r1',
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      method: 'GET',
      route: '/v1/datasets/{dataset}',
      status: 404,
      actor: expect.stringMatching(/^[0-9a-z]{26}$/),
      runtime: { of: 'runtime' },
    },
  ]);
  expect(JSON.stringify(seen)).not.toMatch(/secret|cw_/);
});

test.each([
  ['GET', '/health', '/health', 200],
  ['GET', '/docs', '/docs', 200],
  ['GET', '/v1/jobs/x/metrics', '/v1/jobs/{id}/metrics', 401],
  ['POST', '/v1/trainer/reports', '/v1/trainer/reports', 401],
  ['GET', '/made-up-by-a-stranger', 'none', 404],
  ['GET', '/v1/made-up/too', 'none', 401],
  ['DELETE', '/health', 'none', 405],
])('%s %s is route %s and %i', async (method, path, route, status) => {
  await send(path, { method });
  expect(seen).toMatchObject([{ method, route, status, actor: undefined }]);
});

test('a thousand paths of a stranger are one route', async () => {
  for (let k = 0; k < 1000; k++) await send(`/${k}/x`);
  expect(new Set(seen.map(({ route }) => route))).toEqual(new Set(['none']));
});

test('a request that fails is told too, and none stays open', async () => {
  const failing = createApp({
    ...api.deps,
    database: { ...api.database, orm: {} as never },
    witness: () => (answered) => seen.push({ ...answered, runtime: null }),
  });
  await failing.request('/v1/datasets', { headers: { authorization: authorization() } });
  expect(seen).toMatchObject([{ route: '/v1/datasets', status: 500 }]);
  expect(underWay).toBe(0);
});
