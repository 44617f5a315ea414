// What every route owes: a token, problem documents, 405 with Allow, and no leak of what is inside.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import { openTestApp, type TestApp } from '../support/app.ts';

let api: TestApp;
let routes: { method: string; path: string }[];
beforeAll(async () => {
  api = await openTestApp();
  const { paths = {} } = openApiDocument(api.app, 'test');
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{n\}/g, '1').replaceAll(/\{\w+\}/g, 'nothing'),
    })),
  );
});

const open = ['/health', '/v1/github/exchange'];
const closed = () => routes.filter(({ path }) => !open.includes(path));

describe('every route', () => {
  test('needs a token, except health and what is exchanged for one', async () => {
    expect(routes.length).toBeGreaterThan(35);
    for (const { method, path } of closed()) {
      const response = await api.app.request(path, { method });
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toMatchObject({ type: '/docs#problem-unauthenticated' });
    }
  });

  test('refuses a token that is not known, without saying which part is wrong', async () => {
    for (const { method, path } of closed()) {
      const response = await api.send(method, path, undefined, {
        authorization: 'Bearer cw_guessed',
      });
      expect([path, response.status]).toEqual([path, 401]);
    }
  });

  test('answers malformed JSON with a problem document', async () => {
    const response = await api.send('POST', '/v1/datasets', '{"name": ', {
      'content-type': 'application/json',
    });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect((await response.json()).detail).toContain('not valid JSON');
  });

  test('answers an undeclared method with 405 and what is allowed', async () => {
    const answer = await api.send('PATCH', '/v1/datasets/liver');
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET');
  });

  test('answers an unknown path with 404', async () => {
    const answer = await api.call('GET', '/v1/nothing');
    expect(answer.status).toBe(404);
    expect(answer.body.requestId).not.toBe('');
  });
});

test('an unknown error answers a fixed text; only the log sees the cause', async () => {
  const broken = await openTestApp();
  await broken.database.orm.execute(sql`drop table cases cascade`);
  await broken.call('POST', '/v1/datasets', { name: 'x', attributes: {} });
  const answer = await broken.call('POST', '/v1/datasets/x/versions', { reason: 'secret words' });
  expect(answer.status).toBe(500);
  expect(JSON.stringify(answer.body)).not.toMatch(/select|update|cases|secret/i);
  expect(broken.logged.map((entry) => entry.fields?.requestId)).toContain(answer.body.requestId);
});

describe('Idempotency-Key', () => {
  const headers = { 'idempotency-key': 'once' };
  test('gives the first answer again and stores once', async () => {
    const body = { name: 'once', attributes: {} };
    const first = await api.call('POST', '/v1/datasets', body, headers);
    const second = await api.send('POST', '/v1/datasets', body, headers);
    expect(first.status).toBe(201);
    expect(second.status).toBe(201);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(await second.json()).toEqual(first.body);
  });

  test('refuses the same key with another body', async () => {
    const body = { name: 'other', attributes: {} };
    expect((await api.call('POST', '/v1/datasets', body, headers)).status).toBe(409);
    expect((await api.call('GET', '/v1/datasets/other')).status).toBe(404);
  });

  test('lets a failed request be tried again under its key', async () => {
    const key = { 'idempotency-key': 'fails-first' };
    expect((await api.call('POST', '/v1/datasets', { name: '' }, key)).status).toBe(422);
    const body = { name: 'later', attributes: {} };
    expect((await api.call('POST', '/v1/datasets', body, key)).status).toBe(201);
  });
});

test('the reference page names every path and loads nothing from elsewhere', async () => {
  const page = await (await api.app.request('/docs')).text();
  expect(page).toContain('/v1/snapshots/{snapshot}/draws');
  expect(page).not.toMatch(/(src|href)="https?:/);
});
