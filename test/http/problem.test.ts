// Errors as problem documents, in whole; and what a driver's error may not tell.

import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ProblemError, type ProblemKind, problemKinds } from '../../api/errors.ts';
import { bearerToken } from '../../api/http/auth.ts';
import type { Env } from '../../api/http/context.ts';
import { faultsOf, problemAnswer } from '../../api/http/problem.ts';

async function answer(error: unknown) {
  const logged: unknown[] = [];
  const app = new Hono<Env>()
    .use(async (c, next) => {
      c.set('requestId', 'r1');
      c.set('traceId', 't1');
      await next();
    })
    .get('/here', () => {
      throw error;
    })
    .onError((thrown, c) => problemAnswer(c, thrown, (...entry) => logged.push(entry)));
  const response = await app.request('/here?secret=1');
  return { response, body: await response.json(), logged };
}

const kinds = Object.keys(problemKinds) as ProblemKind[];

test.each(kinds)('%s is answered whole, and logged where it is ours', async (kind) => {
  const { status, title } = problemKinds[kind];
  const { response, body, logged } = await answer(new ProblemError(kind, 'what and what next'));
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(body).toEqual({
    type: `/docs#problem-${kind}`,
    title,
    status,
    detail: 'what and what next',
    instance: '/here',
    requestId: 'r1',
    traceId: 't1',
  });
  expect(logged).toHaveLength(status >= 500 ? 1 : 0);
});

test('faults are passed on as they are', async () => {
  const errors = [{ pointer: '/a', detail: 'no', range: { from: 1, to: 3 } }];
  const { body } = await answer(new ProblemError('unprocessable', 'x', { errors }));
  expect(body.errors).toEqual(errors);
});

test('an error of a driver is told to the log only', async () => {
  const cause = new Error('insert into tokens failed: cw_secret');
  const { response, body, logged } = await answer(cause);
  expect(response.status).toBe(500);
  expect(JSON.stringify(body)).not.toMatch(/insert|tokens|cw_secret/);
  expect(logged).toEqual([
    ['error', body.detail, { requestId: 'r1', traceId: 't1', path: '/here', cause }],
  ]);
});

test('a body that is no JSON is the fault of the caller', async () => {
  const { body } = await answer(new HTTPException(400, { message: 'Malformed JSON' }));
  expect([body.status, body.detail]).toEqual([400, expect.stringContaining('not valid JSON')]);
});

test('the pointers of a schema are JSON pointers, escaped', () => {
  const schema = z.record(z.string(), z.array(z.number()));
  const { issues } = schema.safeParse({ 'a/b~c': [1, 'x'] }).error ?? { issues: [] };
  expect(faultsOf(issues).map(({ pointer }) => pointer)).toEqual(['/a~1b~0c/1']);
});

describe('a bearer token', () => {
  test.each(['Bearer cw_x', 'bearer cw_x', 'Bearer   cw_x'])('is read from %j', (header) => {
    expect(bearerToken(header)).toBe('cw_x');
  });

  test.each([undefined, '', 'cw_x', 'Basic cw_x', 'Bearer', 'Bearer ', 'Bearer a b'])(
    'is not read from %j',
    (header) => {
      expect(() => bearerToken(header)).toThrow('Authorization: Bearer');
    },
  );
});
