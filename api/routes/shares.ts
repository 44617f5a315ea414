// Shares of subgroups, as JSON or CSV.

import { createRoute, z } from '@hono/zod-openapi';
import { sharesQuerySchema, sharesSchema } from '../contract/shares.ts';
import { csvLines } from '../http/csv.ts';
import { acceptedFormat } from '../http/negotiation.ts';
import { problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { streamed } from '../http/streams.ts';
import { subgroupShares } from '../services/snapshots/shares.ts';

const columns = [
  'attribute',
  'value',
  'caseCount',
  'targetShare',
  'drawShare',
  'effectiveTargetShare',
  'validationCount',
  'validationShare',
] as const;

export function shareRoutes() {
  const routes = router();
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}/shares',
      tags: ['snapshots'],
      summary: 'Shares of subgroups in target, draws, effective target and validation: JSON or CSV',
      request: { params: z.object({ snapshot: z.string() }), query: sharesQuerySchema },
      responses: {
        200: {
          description: 'A row for each value of each attribute',
          content: {
            'application/json': { schema: sharesSchema },
            'text/csv': { schema: z.string() },
          },
        },
        ...problems,
      },
    }),
    async (c) => {
      const format = acceptedFormat(c, ['application/json', 'text/csv']);
      const input = { ...c.req.valid('param'), ...c.req.valid('query') };
      const shares = await subgroupShares(c.get('deps'), c.get('actor'), input);
      c.header('vary', 'accept');
      if (format === 'application/json') return c.json(shares, 200);
      const lines = csvLines(columns, shares.rows);
      return (await streamed(lines, 'text/csv', { vary: 'accept' })) as never;
    },
  );
  return routes;
}
