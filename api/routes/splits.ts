// Splits of a draft, in nnU-Net's own format.

import { createRoute } from '@hono/zod-openapi';
import { nameSchema } from '../contract/shared.ts';
import { splitAnswerSchema, splitFoldsJsonSchema, splitLimits } from '../contract/splits.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { splitIds } from '../http/split-stream.ts';
import { bodyChunks, streamed } from '../http/streams.ts';
import { putSplit, readSplit } from '../services/splits.ts';
import { versionParam } from './versions.ts';

const params = versionParam.extend({ split: nameSchema });

export function splitRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'put',
        path: '/v1/datasets/{dataset}/versions/{n}/splits/{split}',
        tags: ['versions'],
        summary: "Put a split: nnU-Net's splits_final.json as it is, gzip or not",
        description: `At most ${splitLimits.bodyBytes} bytes when unzipped, and ${splitLimits.folds} folds.`,
        request: {
          params,
          body: { content: { 'application/json': { schema: splitFoldsJsonSchema } } },
        },
        responses: { 200: json(splitAnswerSchema, 'The sizes of its folds'), ...problems },
      }),
      async (c) => {
        const { dataset, n, split } = c.req.valid('param');
        const folds = splitIds(bodyChunks(c.req.raw, splitLimits.bodyBytes));
        const input = { dataset, number: n, split, folds };
        return c.json(await putSplit(c.get('deps'), c.get('actor'), input), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/datasets/{dataset}/versions/{n}/splits/{split}',
        tags: ['versions'],
        summary: "A split as nnU-Net's splits_final.json, ids in the order they were put in",
        request: { params },
        responses: {
          200: {
            description: 'A list of folds',
            content: { 'application/json': { schema: splitFoldsJsonSchema } },
          },
          ...problems,
        },
      }),
      async (c) => {
        const { dataset, n, split } = c.req.valid('param');
        const input = { dataset, number: n, split };
        const texts = await readSplit(c.get('deps'), c.get('actor'), input);
        return (await streamed(texts, 'application/json', {})) as never;
      },
    );
}
