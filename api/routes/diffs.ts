// What differs between two snapshots.

import { createRoute, z } from '@hono/zod-openapi';
import { diffSchema } from '../contract/diffs.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { diffSnapshots } from '../services/snapshots/diff.ts';

export function diffRoutes() {
  const routes = router();
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{a}/diff/{b}',
      tags: ['snapshots'],
      summary: 'What differs between two snapshots of one dataset',
      request: { params: z.object({ a: z.string(), b: z.string() }) },
      responses: { 200: json(diffSchema, 'The differences, from a to b'), ...problems },
    }),
    async (c) =>
      c.json(await diffSnapshots(c.get('deps'), c.get('actor'), c.req.valid('param')), 200),
  );
  return routes;
}
