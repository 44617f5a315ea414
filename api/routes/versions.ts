// Dataset versions: open, list, read, commit, discard.

import { createRoute, z } from '@hono/zod-openapi';
import { largestInteger, listQuerySchema, listSchema } from '../contract/shared.ts';
import { commitVersionSchema, openVersionSchema, versionSchema } from '../contract/versions.ts';
import { decodeNumberCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import {
  commitVersion,
  discardVersion,
  getVersion,
  openVersion,
  pageOfVersions,
} from '../services/versions.ts';
import { datasetParam } from './datasets.ts';

const tags = ['versions'];
const path = '/v1/datasets/{dataset}/versions';
export const versionParam = datasetParam.extend({
  n: z.coerce.number().int().min(1).max(largestInteger),
});

export function versionRoutes() {
  return listRoutes().route('/', oneVersionRoutes());
}

function listRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Open a draft, empty or equal to a committed base',
        request: { params: datasetParam, body: jsonBody(openVersionSchema) },
        responses: { 201: json(versionSchema, 'The draft'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await openVersion(c.get('deps'), c.get('actor'), input), 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List versions, newest first',
        request: { params: datasetParam, query: listQuerySchema },
        responses: { 200: json(listSchema(versionSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const items = await pageOfVersions(c.get('deps'), c.get('actor'), {
          ...c.req.valid('param'),
          before: decodeNumberCursor(cursor),
          limit: limit + 1,
        });
        return c.json(page(items, { limit, keyOf: (item) => item.number, show: (i) => i }), 200);
      },
    );
}

function oneVersionRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'get',
        path: `${path}/{n}`,
        tags,
        summary: 'Read a version and the names of its splits',
        request: { params: versionParam },
        responses: { 200: json(versionSchema, 'The version'), ...problems },
      }),
      async (c) => {
        const { dataset, n } = c.req.valid('param');
        return c.json(await getVersion(c.get('deps'), c.get('actor'), { dataset, number: n }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: `${path}/{n}`,
        tags,
        summary: 'Discard a draft',
        request: { params: versionParam },
        responses: { 204: { description: 'Discarded' }, ...problems },
      }),
      async (c) => {
        const { dataset, n } = c.req.valid('param');
        await discardVersion(c.get('deps'), c.get('actor'), { dataset, number: n });
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: `${path}/{n}/commit`,
        tags,
        summary: 'Commit a draft: it gets its digest and never changes again',
        request: { params: versionParam, body: jsonBody(commitVersionSchema) },
        responses: { 200: json(versionSchema, 'The committed version'), ...problems },
      }),
      async (c) => {
        const { dataset, n } = c.req.valid('param');
        const input = { dataset, number: n, reason: c.req.valid('json').reason };
        return c.json(await commitVersion(c.get('deps'), c.get('actor'), input), 200);
      },
    );
}
