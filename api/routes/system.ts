// Health: no token, no workspace; 503 when the database does not answer.

import { createRoute } from '@hono/zod-openapi';
import { healthSchema } from '../contract/system.ts';
import { json } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { checkHealth } from '../services/health.ts';

export function systemRoutes() {
  return router().openapi(
    createRoute({
      method: 'get',
      path: '/health',
      tags: ['system'],
      summary: 'Whether the service and its database answer',
      security: [],
      responses: {
        200: json(healthSchema, 'Both answer'),
        503: { description: 'The database does not' },
      },
    }),
    async (c) => c.json(await checkHealth(c.get('deps')), 200),
  );
}
