// What is answered to an Accept header, tried on a route that offers three formats.

import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { acceptedFormat, isJsonDocument } from '../../api/http/negotiation.ts';
import { problemAnswer } from '../../api/http/problem.ts';

const offered = ['application/x-ndjson', 'text/csv', 'application/json'];
const app = new Hono()
  .get('/', (c) => c.text(acceptedFormat(c, offered)))
  .onError((error, c) => problemAnswer(c as never, error, () => {}));

const ask = (accept?: string) =>
  app.request('/', { headers: accept === undefined ? {} : { accept } });

test.each([
  [undefined, 'application/x-ndjson'],
  ['*/*', 'application/x-ndjson'],
  ['text/csv', 'text/csv'],
  ['text/csv, */*', 'text/csv'],
  ['application/xml, text/csv', 'text/csv'],
  ['text/csv;q=0.2, application/json;q=0.8', 'application/json'],
  ['application/json; charset=utf-8', 'application/json'],
])('%s is answered with %s', async (accept, format) => {
  expect(await (await ask(accept)).text()).toBe(format);
});

test.each(['application/xml', 'image/png', 'text/html'])('%s is refused', async (accept) => {
  const response = await ask(accept);
  expect(response.status).toBe(406);
  expect((await response.json()).detail).toBe(`Ask for one of: ${offered.join(', ')}.`);
});

test.each([
  ['application/json', true],
  ['Application/JSON; charset=utf-8', true],
  ['application/problem+json', true],
  ['application/x-ndjson', false],
  ['application/jsonlines', false],
  ['text/plain', false],
  [undefined, false],
])('a body of type %s is one JSON document: %s', (contentType, document) => {
  expect(isJsonDocument(contentType)).toBe(document);
});
