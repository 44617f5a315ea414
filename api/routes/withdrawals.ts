// Withdrawing a case from every later snapshot, and the list of those that were.

import { createRoute } from '@hono/zod-openapi';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { withdrawalSchema, withdrawnSchema, withdrawSchema } from '../contract/withdrawals.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { pageOfWithdrawals, withdrawCase } from '../services/withdrawals.ts';
import { datasetParam } from './datasets.ts';

const tags = ['withdrawals'];
const path = '/v1/datasets/{dataset}/withdrawals';

export function withdrawalRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Withdraw a case from every later snapshot; jobs that draw it are told',
        request: { params: datasetParam, body: jsonBody(withdrawSchema) },
        responses: { 201: json(withdrawnSchema, 'Withdrawn'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await withdrawCase(c.get('deps'), c.get('actor'), input), 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List the withdrawn cases of a dataset',
        request: { params: datasetParam, query: listQuerySchema },
        responses: { 200: json(listSchema(withdrawalSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { ...c.req.valid('param'), after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfWithdrawals(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.caseId, show: (i) => i }), 200);
      },
    );
}
