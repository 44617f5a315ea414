// Datasets and their attribute schema.

import { createRoute, z } from '@hono/zod-openapi';
import { attributeNameSchema } from '../contract/attributes.ts';
import { addAttributeSchema, createDatasetSchema, datasetSchema } from '../contract/datasets.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { addAttribute, createDataset, getDataset, pageOfDatasets } from '../services/datasets.ts';

const tags = ['datasets'];
export const datasetParam = z.object({ dataset: z.string() });

export function datasetRoutes() {
  return listRoutes().route('/', oneDatasetRoutes());
}

function listRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: '/v1/datasets',
        tags,
        summary: 'Create a dataset with its attribute schema',
        request: { body: jsonBody(createDatasetSchema) },
        responses: { 201: json(datasetSchema, 'Created'), ...problems },
      }),
      async (c) =>
        c.json(await createDataset(c.get('deps'), c.get('actor'), c.req.valid('json')), 201),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/datasets',
        tags,
        summary: 'List datasets',
        request: { query: listQuerySchema },
        responses: { 200: json(listSchema(datasetSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfDatasets(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (item) => item }), 200);
      },
    );
}

function oneDatasetRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/datasets/{dataset}',
        tags,
        summary: 'Read a dataset',
        request: { params: datasetParam },
        responses: { 200: json(datasetSchema, 'The dataset'), ...problems },
      }),
      async (c) =>
        c.json(await getDataset(c.get('deps'), c.get('actor'), c.req.valid('param').dataset), 200),
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/v1/datasets/{dataset}/attributes/{name}',
        tags,
        summary: 'Add an attribute',
        request: {
          params: datasetParam.extend({ name: attributeNameSchema }),
          body: jsonBody(addAttributeSchema),
        },
        responses: { 200: json(datasetSchema, 'The dataset with the attribute'), ...problems },
      }),
      async (c) => {
        const { dataset, name } = c.req.valid('param');
        const { reason, ...attribute } = c.req.valid('json');
        const input = { dataset, name, attribute, reason };
        return c.json(await addAttribute(c.get('deps'), c.get('actor'), input), 200);
      },
    );
}
