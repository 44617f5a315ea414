// GPU hours from attempts.

import { createRoute } from '@hono/zod-openapi';
import { usageQuerySchema, usageSchema } from '../contract/usage.ts';
import { decodeMomentCursor, momentPage } from '../http/paging.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { usageOf } from '../services/usage.ts';

const instant = (text: string | undefined) => (text === undefined ? undefined : new Date(text));

export function usageRoutes() {
  return router().openapi(
    createRoute({
      method: 'get',
      path: '/v1/usage',
      tags: ['jobs'],
      summary: 'GPU hours by job, dataset, actor or target, the most first',
      description:
        'Hours of attempts, from when the engine started them to their end, that lie in [from, to). Failed, lost and cancelled ones count; waiting does not. An actor is who launched the job.',
      request: { query: usageQuerySchema },
      responses: { 200: json(usageSchema, 'A page, and the total of all'), ...problems },
    }),
    async (c) => {
      const { by, limit, cursor, ...query } = c.req.valid('query');
      const deps = c.get('deps');
      const { at, offset } = decodeMomentCursor(cursor) ?? { at: deps.now(), offset: 0 };
      const [from, to] = [instant(query.from), instant(query.to)];
      const input = { by, from, to, at, offset, limit: limit + 1 };
      const { items, ...rest } = await usageOf(deps, c.get('actor'), input);
      return c.json({ ...rest, ...momentPage(items, { at, offset, limit }) }, 200);
    },
  );
}
