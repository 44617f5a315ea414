// What the suite says of a document and of requests: a route that nobody called is named, and so is
// an answer that the document does not tell of.

import { expect, test } from 'vitest';
import {
  type Document,
  type Noted,
  routeOf,
  uncalledRoutes,
  undocumentedAnswers,
} from './calls.ts';

const json = { content: { 'application/json': {} } };
const document: Document = {
  paths: {
    '/v1/jobs/{id}': { get: { responses: { 200: json, 404: json } } },
    '/v1/jobs/compare': { get: { responses: { 200: json } } },
    '/v1/jobs': { get: { responses: { 200: json } }, post: { responses: { 201: json } } },
  },
};
const noted = (method: string, path: string, status = 200, type = 'application/json'): Noted => ({
  method,
  path,
  status,
  type,
});

test('a request is of the route with the fewest placeholders', () => {
  expect(routeOf(document, noted('GET', '/v1/jobs/compare'))).toBe('GET /v1/jobs/compare');
  expect(routeOf(document, noted('GET', '/v1/jobs/01x'))).toBe('GET /v1/jobs/{id}');
  expect(routeOf(document, noted('DELETE', '/v1/jobs/01x'))).toBeUndefined();
  expect(routeOf(document, noted('GET', '/v1/jobs/a/b'))).toBeUndefined();
});

test('a route is called when it answered with success, and not before', () => {
  const some = [noted('GET', '/v1/jobs'), noted('GET', '/v1/jobs/01x', 404)];
  expect(uncalledRoutes(document, some)).toEqual([
    'GET /v1/jobs/{id}',
    'GET /v1/jobs/compare',
    'POST /v1/jobs',
  ]);
  const rest = [noted('GET', '/v1/jobs/1'), noted('GET', '/v1/jobs/compare')];
  expect(uncalledRoutes(document, [...some, ...rest, noted('POST', '/v1/jobs', 201)])).toEqual([]);
});

test('a status and a form that the document does not tell of are found', () => {
  expect(
    undocumentedAnswers(document, [
      noted('GET', '/v1/jobs'),
      noted('GET', '/v1/jobs', 500),
      noted('POST', '/v1/jobs', 200),
      noted('GET', '/v1/jobs/1', 200, 'text/event-stream'),
      noted('GET', '/v1/jobs/1', 404),
      noted('GET', '/v1/jobs', 405),
      noted('GET', '/elsewhere', 404),
    ]),
  ).toEqual([
    'GET /v1/jobs answered 500',
    'POST /v1/jobs answered 200',
    'GET /v1/jobs/{id} answered 200 as text/event-stream, not application/json',
  ]);
});
