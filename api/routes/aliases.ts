// Aliases of a dataset: put, list, read with history.

import { createRoute } from '@hono/zod-openapi';
import { aliasParamSchema, aliasSchema, putAliasSchema } from '../contract/aliases.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { ProblemError } from '../errors.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { getAlias, pageOfAliases, putAlias } from '../services/aliases.ts';
import { datasetParam } from './datasets.ts';

const tags = ['aliases'];
const path = '/v1/datasets/{dataset}/aliases';
const params = datasetParam.extend(aliasParamSchema.shape);

/** The number in `If-Match: "3"`; undefined where there is no such header or any number will do. */
export function numberIfMatch(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const number = /^\s*"?(\d{1,9})"?\s*$/.exec(header)?.[1];
  if (number !== undefined) return Number(number);
  throw new ProblemError(
    'invalid-request',
    'If-Match holds the number of the alias as it was read, as If-Match: "3".',
  );
}

export function aliasRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'put',
        path: `${path}/{alias}`,
        tags,
        summary: 'Put an alias on a snapshot per fold; a protected one needs approvals',
        request: { params, body: jsonBody(putAliasSchema) },
        responses: {
          201: json(aliasSchema, 'The alias is new'),
          200: json(aliasSchema, 'Moved, or it stood there already'),
          ...problems,
        },
      }),
      async (c) => {
        const expected = numberIfMatch(c.req.header('if-match'));
        const body = c.req.valid('json');
        const input = { expected, ...c.req.valid('param'), ...body };
        const { alias, created } = await putAlias(c.get('deps'), c.get('actor'), input);
        c.header('etag', `"${alias.number}"`);
        return created ? c.json(alias, 201) : c.json(alias, 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List the aliases of a dataset by name',
        request: { params: datasetParam, query: listQuerySchema },
        responses: { 200: json(listSchema(aliasSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { ...c.req.valid('param'), after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfAliases(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.name, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: `${path}/{alias}`,
        tags,
        summary: 'Read an alias with its whole history',
        request: { params },
        responses: { 200: json(aliasSchema, 'The alias'), ...problems },
      }),
      async (c) => {
        const alias = await getAlias(c.get('deps'), c.get('actor'), c.req.valid('param'));
        c.header('etag', `"${alias.number}"`);
        return c.json(alias, 200);
      },
    );
}
