// Which methods a path takes, read from the routes themselves.

import { expect, test } from 'vitest';
import { allowedMethods } from '../../api/http/methods.ts';

const routes = [
  { path: '/*', method: 'ALL' },
  { path: '/v1/jobs', method: 'GET' },
  { path: '/v1/jobs', method: 'POST' },
  { path: '/v1/jobs', method: 'POST' },
  { path: '/v1/jobs/:id', method: 'GET' },
  { path: '/v1/jobs/compare', method: 'GET' },
  { path: '/v1/jobs/:id/cancel', method: 'POST' },
  { path: '/openapi.json', method: 'GET' },
];

test.each([
  ['/v1/jobs', ['GET', 'POST']],
  ['/v1/jobs/', ['GET', 'POST']],
  ['/v1/jobs/x', ['GET']],
  ['/v1/jobs/x/cancel', ['POST']],
  ['/v1/jobs/x/y/cancel', []],
  ['/v1/jobs//cancel', []],
  ['/v1', []],
  ['/openapi.json', ['GET']],
  ['/openapi-json', []],
])('%s takes %j', (path, methods) => {
  expect(allowedMethods(routes, path)).toEqual(methods);
});
