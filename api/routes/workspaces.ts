// Workspaces of the deployment: `service` sees all of them, where `deps` would see its own.

import { createRoute } from '@hono/zod-openapi';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import {
  createWorkspaceSchema,
  madeWorkspaceSchema,
  workspaceSchema,
} from '../contract/workspaces.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { createWorkspace, pageOfWorkspaces } from '../services/workspaces.ts';

const tags = ['workspaces'];
const path = '/v1/workspaces';

export function workspaceRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Make a workspace; the secret of its first admin token is in this answer alone',
        description: 'For admins of the deployment: those of the workspace `default`.',
        request: { body: jsonBody(createWorkspaceSchema) },
        responses: { 201: json(madeWorkspaceSchema, 'Made'), ...problems },
      }),
      async (c) => {
        const { claim } = c.get('deps');
        const made = await createWorkspace(
          { ...c.get('service'), claim },
          c.get('actor'),
          c.req.valid('json'),
        );
        c.header('cache-control', 'no-store');
        return c.json(made, 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List the workspaces of the deployment, by name and nothing more',
        description: 'For admins of the deployment: those of the workspace `default`.',
        request: { query: listQuerySchema },
        responses: { 200: json(listSchema(workspaceSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const items = await pageOfWorkspaces(c.get('service'), {
          after: decodeCursor(cursor),
          limit: limit + 1,
        });
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    );
}
