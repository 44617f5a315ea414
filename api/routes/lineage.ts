// Lineage of a snapshot.

import { createRoute, z } from '@hono/zod-openapi';
import { lineageSchema } from '../contract/lineage.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { snapshotLineage } from '../services/snapshots/lineage.ts';

export function lineageRoutes() {
  return router().openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}/lineage',
      tags: ['snapshots'],
      summary: 'Parents, children, sources, jobs, approvals and aliases of a snapshot',
      request: { params: z.object({ snapshot: z.string() }) },
      responses: { 200: json(lineageSchema, 'The lineage'), ...problems },
    }),
    async (c) => {
      const { snapshot } = c.req.valid('param');
      return c.json(await snapshotLineage(c.get('deps'), c.get('actor'), snapshot), 200);
    },
  );
}
