// The table of operations against the OpenAPI document of the routes: the same paths, bodies,
// queries and answers. A route that is added without a row, or changed beside its row, fails here.

import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import { type OperationSchemas, operations } from '../../api/contract/operations.ts';
import { openTestApp, type TestApp } from '../support/app.ts';

/** JSON too, but read or written as a stream, which no client should hold in memory. */
const streamed = [
  'PUT /v1/datasets/{dataset}/versions/{n}/splits/{split}',
  'GET /v1/datasets/{dataset}/versions/{n}/splits/{split}',
  'POST /v1/datasets/{dataset}/versions/{n}/cases',
  'PUT /v1/datasets/{dataset}/versions/{n}/scores/{attribute}',
];

type Content = Record<string, { schema: unknown }>;
type Documented = {
  requestBody?: { content: Content };
  parameters?: { name: string; in: string; required?: boolean; schema: unknown }[];
  responses: Record<string, { content?: Content }>;
};
type Said = { body?: unknown; query: unknown[]; answers: unknown[] };

let api: TestApp;
let routes: Map<string, Documented>;
beforeAll(async () => {
  api = await openTestApp();
  routes = documentedBy(openApiDocument(api.app, 'test') as never);
});
afterAll(() => api.database.close());

function documentedBy(document: { paths: Record<string, Record<string, Documented>> }) {
  return new Map(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, one]): [string, Documented] => [
        `${method.toUpperCase()} ${path}`,
        one,
      ]),
    ),
  );
}

const json = 'application/json';

function said({ requestBody, parameters = [], responses }: Documented): Said {
  const schemas = Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, { content }]) => content?.[json]?.schema ?? []);
  return {
    body: requestBody?.content[json]?.schema,
    query: parameters
      .filter((one) => one.in === 'query')
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    answers: unique(schemas.flatMap(alternatives)),
  };
}

function alternatives(schema: unknown): unknown[] {
  const { anyOf } = schema as { anyOf?: unknown[] };
  return anyOf === undefined ? [schema] : anyOf.flatMap(alternatives);
}

const unique = (schemas: unknown[]) =>
  [...new Set(schemas.map((one) => JSON.stringify(one)))].sort().map((one) => JSON.parse(one));

/** The row as OpenAPI would have it, were it a route. */
function documentOf(operation: string, { body, query, answer }: OperationSchemas): Documented {
  const [method, path] = operation.split(' ');
  const app = new OpenAPIHono();
  app.openAPIRegistry.registerPath(
    createRoute({
      method: method.toLowerCase() as 'get',
      path,
      request: {
        ...(query === undefined ? {} : { query: query as z.ZodObject }),
        ...(body === undefined ? {} : { body: { content: { [json]: { schema: body } } } }),
      },
      responses: { 200: { description: '', content: { [json]: { schema: answer } } } },
    }),
  );
  const document = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } });
  return documentedBy(document as never).get(operation) as Documented;
}

const answersJson = ([name, { responses }]: [string, Documented]) =>
  !streamed.includes(name) &&
  Object.entries(responses).some(
    ([status, { content }]) => status === '204' || (status.startsWith('2') && content?.[json]),
  );

describe('the operations of the contract', () => {
  test('are the routes that answer JSON', () => {
    const answering = [...routes].filter(answersJson).map(([name]) => name);
    expect(Object.keys(operations).sort()).toEqual(answering.sort());
    expect(streamed.filter((name) => !routes.has(name))).toEqual([]);
  });

  test.each(Object.entries(operations))('%s takes and answers what its route does', (name, row) => {
    const route = routes.get(name) as Documented;
    const nothing = '204' in route.responses;
    const told = said(documentOf(name, row));
    expect(told).toEqual({ ...said(route), ...(nothing ? { answers: [{ type: 'null' }] } : {}) });
  });

  test('differ from a route whose body, query or answer is another', () => {
    const route = said(routes.get('GET /v1/tokens') as Documented);
    const row = operations['GET /v1/tokens'];
    const other = { ...row, query: z.object({ limit: z.string() }) };
    expect(said(documentOf('GET /v1/tokens', other)).query).not.toEqual(route.query);
    const bare = { answer: operations['DELETE /v1/tokens/{id}'].answer };
    expect(said(documentOf('GET /v1/tokens', bare)).answers).not.toEqual(route.answers);
    const made = said(routes.get('POST /v1/tokens') as Documented);
    expect(said(documentOf('GET /v1/tokens', row)).body).not.toEqual(made.body);
  });
});
