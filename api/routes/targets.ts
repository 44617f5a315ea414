// Launch targets.

import { createRoute, z } from '@hono/zod-openapi';
import { listSchema } from '../contract/shared.ts';
import { targetCheckSchema, targetSchema } from '../contract/targets.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { checkTarget, listTargets } from '../services/targets.ts';

const tags = ['targets'];

export function targetRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/targets',
        tags,
        summary: 'List the launch targets of this deployment',
        responses: { 200: json(listSchema(targetSchema), 'All of them'), ...problems },
      }),
      async (c) => c.json({ items: await listTargets(c.get('deps')), nextCursor: null }, 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/targets/{name}/check',
        tags,
        summary: 'Check a target: reachability, rights, paths',
        request: { params: z.object({ name: z.string() }) },
        responses: {
          200: json(targetCheckSchema, 'Findings'),
          ...problems,
        },
      }),
      async (c) =>
        c.json(
          { findings: await checkTarget(c.get('deps'), c.get('actor'), c.req.valid('param').name) },
          200,
        ),
    );
}
