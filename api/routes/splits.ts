// Splits of a draft, in nnU-Net's own format.

import { createRoute } from '@hono/zod-openapi';
import { nameSchema } from '../contract/shared.ts';
import { splitAnswerSchema, splitFoldsSchema } from '../contract/splits.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { putSplit } from '../services/splits.ts';
import { versionParam } from './versions.ts';

export function splitRoutes() {
  return router().openapi(
    createRoute({
      method: 'put',
      path: '/v1/datasets/{dataset}/versions/{n}/splits/{split}',
      tags: ['versions'],
      summary: "Put a split: nnU-Net's splits_final.json as it is",
      request: {
        params: versionParam.extend({ split: nameSchema }),
        body: jsonBody(splitFoldsSchema),
      },
      responses: { 200: json(splitAnswerSchema, 'The sizes of its folds'), ...problems },
    }),
    async (c) => {
      const { dataset, n, split } = c.req.valid('param');
      const input = { dataset, number: n, split, folds: c.req.valid('json') };
      return c.json(await putSplit(c.get('deps'), c.get('actor'), input), 200);
    },
  );
}
